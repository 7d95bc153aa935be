"""Broken machines, each with the check that must name it; whole machines, where nothing may fail.

Every row of `BROKEN` (machines_*.py) is a machine with one thing wrong. The doctor must fail exactly the
checks named (one, nearly always), its fix must hold the words given, and where the fix is a command or an
edit it is carried out to the letter, after which the check must pass.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import machines_paths  # noqa: F401  (each registers its machines)
import machines_settings  # noqa: F401
import machines_variables  # noqa: F401
import machines_whole  # noqa: F401
from machines import BROKEN, WHOLE, peers
from setups import TOKEN, Authority, Grpc, Peer, Proxy, Setup, Silent

DOCTOR = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "claude-telemetry-doctor"
AGENT = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else None
peers.AGENT = AGENT

# ---- The silent failures that were reproduced with the real Claude Code ----

# By their number in docs/doctor.md: the machines above on which each is made, and so named by its check.
REPRODUCED = {
    1: "our_dropin_is_cut_off a_dropin_has_a_trailing_comma the_managed_file_has_a_comment the_managed_file_is_an_array",
    2: "the_managed_file_is_empty",
    3: "the_managed_file_is_for_root_only the_managed_folder_is_for_root_only",
    4: "one_dropin_is_for_root_only",
    5: "the_managed_file_is_a_dangling_link the_managed_file_has_a_wrong_name nothing_was_ever_applied",
    6: "an_old_version_does_not_read_dropins",
    7: "a_later_dropin_diverts_logs",
    8: "a_profile_hides_our_file_from_an_older_version a_profile_sets_one_variable_of_its_own the_console_sets_telemetry_elsewhere",
    9: "the_main_switch_is_missing the_main_switch_is_2",
    10: "the_logs_exporter_is_missing the_metrics_exporter_is_none the_logs_exporter_is_called_wrongly",
    11: "an_exporter_is_misspelt",
    12: "the_protocol_is_unknown the_protocol_is_in_upper_case",
    13: "the_protocol_is_missing_in_an_older_version",
    14: "the_endpoint_has_no_scheme the_endpoint_is_in_quotes the_endpoint_holds_a_blank the_endpoint_is_empty",
    15: "the_general_endpoint_has_a_signal_path",
    16: "the_endpoint_of_one_signal_has_no_path",
    17: "the_endpoint_speaks_tls_to_the_plain_relay http_goes_to_the_grpc_port the_grpc_endpoint_has_no_scheme",
    18: "the_receiver_is_down",
    19: "the_receiver_refuses_the_token the_receiver_answers_403",
    20: "the_receiver_is_overloaded the_receiver_answers_429",
    21: "the_receiver_is_slow the_receiver_hangs",
    22: "a_portal_answers_for_the_receiver the_receiver_rejects_records",
    23: "a_header_has_a_colon the_headers_are_json",
    24: "the_headers_hold_a_line_break the_headers_leave_ascii",
    25: "a_header_is_percent_encoded",
    26: "a_shells_malformed_headers_stop_everything a_running_session_has_malformed_headers",
    27: "the_metric_interval_is_0",
    28: "a_shell_gives_an_interval_with_a_unit",
    29: "a_shell_diverts_logs_in_an_older_version a_shell_would_divert_logs_of_an_older_version",
    30: "a_shell_turns_the_sampler_off a_shell_gives_a_tiny_timeout a_shell_cuts_the_end_of_sessions",
    31: "a_shell_limits_attributes the_machines_environment_limits_values",
    32: "an_attribute_holds_a_blank",
    33: "traces_lack_the_beta_switch traces_lack_the_exporter",
    34: "an_older_version_sends_loopback_through_the_proxy grpc_to_this_machine_goes_through_the_proxy",
    35: "a_proxy_carries_telemetry_to_a_receiver",
    36: "the_receivers_certificate_is_private the_certificate_is_named_in_the_wrong_variable",
    37: "the_headers_helper_fails the_headers_helper_does_not_exist the_headers_helper_is_not_executable the_headers_helper_prints_no_json",
    38: "the_headers_helper_is_not_asked_with_grpc",
    39: "a_session_is_older_than_the_settings",
    40: "a_project_sets_a_variable_in_vain",
    41: "an_exporter_is_the_console",
    43: "prompts_are_wanted_and_left_out",
}
UNSEEN = {42, 44}  # leave no trace on the machine
MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "doctor.md"


class Reproduced(unittest.TestCase):
    def test_each_silent_failure_is_named_by_the_check_that_the_manual_says(self):
        told = {int(number): set(re.findall(r"`([a-z_.*]+)`", checks))
                for number, checks in re.findall(r"^\| (\d+) \|[^|]*\|([^|]*)\|$", MANUAL.read_text(), re.M)}
        self.assertEqual(set(told), set(range(1, 45)))
        checks = {name: check for name, check, *_ in BROKEN}
        for number, names in REPRODUCED.items():
            self.assertEqual({checks[name] for name in names.split()}, told[number], f"failure {number}")
        self.assertEqual({number for number, ids in told.items() if not ids}, UNSEEN)
        self.assertEqual(set(told) - set(REPRODUCED), UNSEEN)


class Table(unittest.TestCase):
    def check_broken(self, check, fix, by_hand, warns, says, make):
        peers.PROXY.reset()
        peers.GRPC.reset()
        with_setup = Setup(peers.RELAY, peers.DESTINATION, DOCTOR, AGENT)
        try:
            make(with_setup)
            report = with_setup.report()
            failed = [c["id"] for c in report["checks"] if c["status"] == "fail"]
            seen = {c["id"]: c["seen"] for c in report["checks"] if c["status"] in ("fail", "warn")}
            self.assertEqual(failed, [] if warns else [check], f"{seen}\n{report['stderr']}")
            found = report["by_id"][check]
            self.assertEqual(found["status"], "warn" if warns else "fail", found)
            self.assertIn(fix, found["fix"])
            self.assertIn(says, found["seen"])
            for told in report["checks"]:
                if told["status"] in ("fail", "warn"):
                    self.assertTrue(told["seen"] and told["why"] and told["fix"], told)
            self.assertEqual(report["exit_code"], 0 if warns else 1)
            self.assertNotIn("planted-secret", json.dumps(report))
            if by_hand or not with_setup.apply_fix(found["fix"]):
                self.assertTrue(by_hand or "claude-telemetry-agent" in found["fix"], f"nobody can carry out: {found['fix']}")
                return
            again = with_setup.report()
            self.assertIn(again["by_id"][check]["status"], ("ok", "skip"), again["by_id"][check])
        finally:
            with_setup.close()

    def check_whole(self, make):
        peers.PROXY.reset()
        peers.GRPC.reset()
        setup = Setup(peers.RELAY, peers.DESTINATION, DOCTOR, AGENT)
        try:
            make(setup)
            report = setup.report()
            failed = {c["id"]: c["seen"] for c in report["checks"] if c["status"] == "fail"}
            self.assertEqual(failed, {}, report["stderr"])
            self.assertEqual(report["exit_code"], 0)
        finally:
            setup.close()


def add(name, call, *args):
    setattr(Table, "test_" + name, lambda self: getattr(self, call)(*args))


for name, *row in BROKEN:
    add(name, "check_broken", *row)
for name, make in WHOLE:
    add("nothing_fails_with_" + name, "check_whole", make)


def run_shards(count):
    """The machines in `count` processes, each with peers of its own: most of the time is waiting."""
    shards = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:]], env={**os.environ, "SHARD": f"{i}/{count}"},
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for i in range(count)]
    told = [shard.communicate()[0] for shard in shards]
    print("".join(told))
    return max(abs(shard.returncode) for shard in shards)


def keep_shard(index, count):
    for position, name in enumerate(sorted(name for name in vars(Table) if name.startswith("test_"))):
        if position % count != index:
            delattr(Table, name)


if __name__ == "__main__":
    if len(sys.argv) <= 3 and "SHARD" not in os.environ:
        sys.exit(run_shards(4))
    if "SHARD" in os.environ:
        keep_shard(*map(int, os.environ["SHARD"].split("/")))
    with tempfile.TemporaryDirectory() as folder:
        peers.RELAY, peers.DESTINATION = Peer(), Peer()
        peers.PROXY, peers.SILENT, peers.GRPC = Proxy(), Silent(), Grpc()
        EXAMPLE, peers.PRIVATE, OPENER = (Authority(folder, name) for name in ("Example Corp", "Private Corp", "Zscaler Inc."))
        peers.TLS = Peer(EXAMPLE.issue("127.0.0.1"))
        peers.TLS.pem = EXAMPLE.pem
        peers.NAMED = Peer(peers.PRIVATE.issue("central.example", "localhost"))
        peers.EXPIRED = Peer(peers.PRIVATE.issue("127.0.0.1", first_day=-9, last_day=-2.5))
        peers.FUTURE = Peer(peers.PRIVATE.issue("127.0.0.1", first_day=2))
        peers.OPENED = Peer(OPENER.issue("central.example"))
        for peer in (peers.TLS, peers.NAMED):
            peer.token = TOKEN
        assert len(BROKEN) >= 40
        result = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False).result
        for peer in vars(peers).values():
            if hasattr(peer, "close"):
                peer.close()
    sys.exit(0 if result.wasSuccessful() else 1)
