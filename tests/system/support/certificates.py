"""A certificate authority of one folder, and certificates that are right or wrong in one way."""
import pathlib
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*words):
    subprocess.run(["openssl", *[str(word) for word in words]], check=True, capture_output=True)


class Authority:
    def __init__(self, folder, name="test authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file, self._key = self.folder / "ca.pem", self.folder / "ca-key.pem"
        openssl("req", "-x509", *KEY, "-days", 2, "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-keyout", self._key, "-out", self.file)

    def issue(self, label, names="IP:127.0.0.1", days=2):
        """(certificate, key) for `names`; a negative number of days is in the past already."""
        request, key = self.folder / f"{label}.csr", self.folder / f"{label}-key.pem"
        extensions, certificate = self.folder / f"{label}.ext", self.folder / f"{label}.pem"
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
        openssl("req", "-new", *KEY, "-subj", f"/CN={label}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-CAcreateserial",
                "-days", days, "-extfile", extensions, "-out", certificate)
        return certificate, key
