"""A private ClickHouse for whole programs: heard on free ports of 127.0.0.1, below its own folder, gone with its test."""
import pathlib
import shutil
import tempfile
import unittest
import urllib.error
import urllib.request

from . import programs

PASSWORD = "a p&ss/word"

CONFIG = """<yandex>
<logger><level>warning</level><log>log</log><errorlog>errors</errorlog></logger>
<listen_host>127.0.0.1</listen_host><http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>
<path>./data/</path><tmp_path>./tmp/</tmp_path><timezone>UTC</timezone>
<users_config>users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>
<mlock_executable>false</mlock_executable>
</yandex>
"""
USERS = """<yandex><profiles><default/></profiles><users><test><password>a p&amp;ss/word</password>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></test></users>
<quotas><default/></quotas></yandex>
"""


class Clickhouse:
    """Use it as a context manager; its URLs name a file with the password."""

    def __enter__(self):
        binary = shutil.which("clickhouse-server", path="/usr/sbin:/usr/bin:/usr/local/bin")
        if not binary:
            raise unittest.SkipTest("no ClickHouse server here (Debian 12: apt-get install clickhouse-server)")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="claude-telemetry-clickhouse-"))
        self.port, tcp = programs.free_port(), programs.free_port()
        for name, text in (("config.xml", CONFIG.format(http=self.port, tcp=tcp)), ("users.xml", USERS), ("password", PASSWORD + "\n")):
            (self.folder / name).write_text(text)
        for name in ("data", "tmp"):
            (self.folder / name).mkdir()
        self.databases = 0
        # Ends with this process, however that ends.
        self.program = programs.Program(
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", 'cd "$1" && exec "$2" --config-file="$1/config.xml"', "sh", self.folder, binary],
            self.folder / "out")
        self.start()
        return self

    def fresh_url(self):
        """That of a database that nobody has had: dropping one waits for whatever still reads it."""
        self.databases += 1
        return f"clickhouse+http://test@127.0.0.1:{self.port}/rows_{self.databases}?password_file={self.folder}/password"

    def __exit__(self, *_):
        self.program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        self.program.start()
        programs.wait_until(self._answers, 90, "ClickHouse")

    def _answers(self):
        self.program.check_alive()
        try:
            return self.ask("SELECT 1") == "1"
        except OSError:
            return False

    def ask(self, sql):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", sql.encode(),
                                         {"X-ClickHouse-User": "test", "X-ClickHouse-Key": PASSWORD})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.read().decode().strip()
        except urllib.error.HTTPError as refused:
            raise AssertionError(refused.read().decode()) from refused
