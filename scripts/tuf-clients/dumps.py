"""Has python-tuf's own simulator dump repositories: honest ones, and what an attacker would publish after each of them.

Usage: dumps.py SETTINGS, a file of JSON: {"out": directory, "online": {"snapshot": key, "timestamp": key}} with the keys
that the server signs with, as `GET /tuf/v1/NAME/keys` answers them. Prints one line of JSON: [{"name", "upload": [file, ...],
"reason"}], in the order in which they are uploaded; "reason" is null where the upload is to be taken in, otherwise the word
with which it is to be refused. Each file is one that the simulator dumped.
"""

import datetime
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "venv", "source"))

from securesystemslib.signer import CryptoSigner
from tests.repository_simulator import RepositorySimulator
from tuf.api.metadata import DelegatedRole, Key, Metadata, Targets

ONLINE = ("snapshot", "timestamp")


class Plan:
    def __init__(self, settings):
        self.out = settings["out"]
        self.online = settings["online"]
        self.steps = []

    def add(self, name, simulator, files, reason=None):
        """Dumps the simulator's repository, of which these files are uploaded."""
        simulator.dump_dir = os.path.join(self.out, f"{len(self.steps):02}")
        simulator.dump_version = 0
        simulator.write()
        directory = os.path.join(simulator.dump_dir, "1")
        upload = [os.path.join(directory, file) for file in files]
        self.steps.append({"name": name, "upload": upload, "reason": reason})
        return directory

    def edit(self, name, simulator, file, change, reason):
        """The same for one file, changed after it was signed or signed over again."""
        directory = self.add(name, simulator, [file], reason)
        path = os.path.join(directory, file)
        with open(path, "rb") as opened:
            before = opened.read()
        with open(path, "wb") as opened:
            opened.write(change(before))


def name_keys(simulator, online):
    """Has root name these keys for snapshot and timestamp, each alone, instead of the simulator's own."""
    root = simulator.root
    for role in ONLINE:
        for keyid in root.roles[role].keyids:
            del root.keys[keyid]
        root.roles[role].keyids.clear()
        key = online[role]
        root.add_key(Key.from_dict(key["keyid"], json.loads(json.dumps(key["key"]))), role)


def begin(online):
    simulator = RepositorySimulator()
    name_keys(simulator, online)
    simulator.signed_roots.clear()
    simulator.publish_root()
    simulator.add_target("targets", b"one", "app.txt")
    return simulator


def fork(simulator):
    """What an attacker has who took over everything that the simulator's owner has."""
    other = RepositorySimulator()
    for name in ("md_root", "md_targets", "md_snapshot", "md_timestamp"):
        setattr(other, name, Metadata.from_bytes(getattr(simulator, name).to_bytes()))
    other.md_delegates = {
        role: Metadata.from_bytes(metadata.to_bytes()) for role, metadata in simulator.md_delegates.items()
    }
    other.signers = {role: dict(signers) for role, signers in simulator.signers.items()}
    other.signed_roots = list(simulator.signed_roots)
    other.target_files = dict(simulator.target_files)
    return other


def next_root(simulator):
    simulator.root.version += 1
    simulator.publish_root()
    return f"{simulator.root.version}.root.json"


def delegate(simulator, delegator, name, paths, terminating=False):
    role = DelegatedRole(name, [], 1, terminating, paths)
    simulator.add_delegation(delegator, role, Targets(expires=simulator.safe_expiry))


def honest(plan):
    simulator = begin(plan.online)
    plan.add("the first root and targets", simulator, ["1.root.json", "targets.json"])
    simulator.targets.version += 1
    simulator.add_target("targets", b"two", "docs/guide.txt")
    delegate(simulator, "targets", "releases", ["releases/*"])
    simulator.add_target("releases", b"tar", "releases/1.tar")
    plan.add("a delegation", simulator, ["targets.json", "releases.json"])
    old = dict(simulator.signers["root"])
    simulator.rotate_keys("root")
    new = dict(simulator.signers["root"])
    simulator.signers["root"] = {**old, **new}
    root = next_root(simulator)
    simulator.signers["root"] = new
    plan.add("new keys of root, signed by the old ones too", simulator, [root])
    return simulator


def attacks(plan, simulator):
    def of(change=lambda _: None):
        other = fork(simulator)
        change(other)
        return other

    # Roots.
    other = of()
    next_root(other)
    plan.add("a root that skips a version", other, [next_root(other)], "root_version")

    other = of(lambda sim: sim.rotate_keys("root"))
    plan.add("new keys of root, not signed by the old ones", other, [next_root(other)], "threshold")

    other = of()
    old = dict(other.signers["root"])
    other.rotate_keys("root")
    other.signers["root"] = old
    plan.add("new keys of root that did not sign it", other, [next_root(other)], "threshold")

    other = of()
    other.root.roles["root"].threshold = 2
    plan.add("a threshold that no keys reach", other, [next_root(other)], "outside_profile")

    other = of()
    other.root.consistent_snapshot = False
    plan.add("no consistent snapshots", other, [next_root(other)], "outside_profile")

    other = of()
    other.root.spec_version = "2.0.0"
    plan.add("another specification", other, [next_root(other)], "outside_profile")

    other = of()
    other.root.expires = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    plan.add("a root that has ended", other, [next_root(other)], "expired")

    other = of()
    other.root.add_key(other.root.keys[other.root.roles["timestamp"].keyids[0]], "targets")
    plan.add("the server's own key for targets", other, [next_root(other)], "online_key_elsewhere")

    other = of()
    signer = CryptoSigner.generate_ed25519()
    other.root.roles["timestamp"].keyids.clear()
    other.root.add_key(signer.public_key, "timestamp")
    plan.add("somebody's own key for timestamps", other, [next_root(other)], "key_not_held")

    other = of()
    other.rotate_keys("targets")
    plan.add("new keys of targets that did not sign targets", other, [next_root(other)], "no_longer_signed")

    # Snapshots and timestamps are the server's.
    for role in ONLINE:
        plan.add(f"a {role}", of(), [f"{role}.json"], "made_by_server")

    # Targets.
    def newer(sim, by=1):
        sim.targets.version += by
        sim.add_target("targets", b"evil", "app.txt")

    other = of(newer)
    other.signers["targets"] = {"0": CryptoSigner.generate_ed25519()}
    plan.add("arbitrary targets, signed by a key of nobody's", other, ["targets.json"], "threshold")

    other = of()
    other.add_target("targets", b"evil", "app.txt")
    plan.add("other targets of the same version", other, ["targets.json"], "rollback")

    other = of(lambda sim: newer(sim, -1))
    plan.add("targets of the version before", other, ["targets.json"], "rollback")

    plan.add("targets far ahead", of(lambda sim: newer(sim, 100_000)), ["targets.json"], "fast_forward")
    plan.add("the last version there is", of(lambda sim: newer(sim, 2**31 - 1 - sim.targets.version)), ["targets.json"], "fast_forward")
    plan.add("a version that clients round", of(lambda sim: newer(sim, 2**53)), ["targets.json"], "malformed")

    other = of(newer)
    other.targets.expires = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    plan.add("targets that have ended", other, ["targets.json"], "expired")

    def tamper(bytes_):
        file = json.loads(bytes_)
        file["signed"]["targets"]["app.txt"]["length"] += 1
        return json.dumps(file).encode()

    def doubled(bytes_):
        before, member, after = bytes_.partition(b'"signed":')
        head, brace, rest = after.partition(b"{")
        return before + member + head + brace + b'"_type": "targets", ' + rest

    plan.edit("targets changed after they were signed", of(newer), "targets.json", tamper, "threshold")
    plan.edit("two members of one name", of(newer), "targets.json", doubled, "malformed")
    plan.edit("something after the end", of(newer), "targets.json", lambda b: b + b"{}", "malformed")
    plan.edit("a file cut off", of(newer), "targets.json", lambda b: b[: len(b) // 2], "malformed")

    def twice(bytes_):
        file = json.loads(bytes_)
        file["signatures"] *= 2
        return json.dumps(file).encode()

    plan.edit("one signature twice", of(newer), "targets.json", twice, "outside_profile")

    def of_another(sim):
        newer(sim)
        sim.targets.unrecognized_fields["x-countersign-repository"] = "somebody/else"

    plan.add("targets of another repository", of(of_another), ["targets.json"], "other_repository")

    # Delegations.
    other = of()
    other.md_delegates["releases"].signed.version += 1
    other.signers["releases"] = {"0": CryptoSigner.generate_ed25519()}
    plan.add("a delegated role, signed by a key of nobody's", other, ["releases.json"], "threshold")

    other = of()
    other.add_target("releases", b"evil", "releases/1.tar")
    plan.add("another delegated role of the same version", other, ["releases.json"], "rollback")

    other = of()
    other.md_delegates["releases"].signed.version += 1
    other.add_target("releases", b"evil", "app.txt")
    plan.add("a delegated role that lists what is not its own", other, ["releases.json"], "target_not_delegated")

    other = of()
    other.md_delegates["nobody"] = Metadata(Targets(expires=other.safe_expiry))
    other.signers["nobody"] = {"0": CryptoSigner.generate_ed25519()}
    plan.add("a role that nobody delegates to", other, ["nobody.json"], "not_delegated")

    other = of()
    other.targets.version += 1
    delegate(other, "targets", "empty", ["x/*"])
    plan.add("a delegation without its file", other, ["targets.json"], "delegation_without_file")

    other = of()
    other.targets.version += 1
    for number in range(33):
        delegate(other, "targets", f"r{number}", [f"r{number}/*"])
    files = ["targets.json", *(f"r{number}.json" for number in range(33))]
    plan.add("more delegations than clients visit", other, files, "too_many_delegations")

    other = of()
    other.targets.version += 1
    delegate(other, "targets", "loop", ["loop/*"])
    delegate(other, "loop", "releases", ["loop/*"])
    plan.add("a role that two delegate to", other, ["targets.json", "loop.json"], "delegated_twice")

    other = of()
    other.targets.version += 1
    delegate(other, "targets", "wild", ["docs/[ab]*"])
    plan.add("a pattern of a kind that clients read differently", other, ["targets.json", "wild.json"], "outside_profile")

    other = of()
    other.targets.version += 1
    delegate(other, "targets", "wild", ["wild/*"])
    other.add_target("wild", b"deep", "wild/a/b")
    plan.add("a pattern that some clients let cross a slash", other, ["targets.json", "wild.json"], "pattern_read_differently")

    other = of()
    other.targets.version += 1
    other.targets.delegations = None
    other.add_succinct_roles("targets", 2, "bin")
    plan.add("succinct roles, which not every client knows", other, ["targets.json"], "outside_profile")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = Plan(json.load(file))
    simulator = honest(plan)
    attacks(plan, simulator)
    simulator.targets.version += 1
    simulator.add_target("targets", b"three", "app.txt")
    plan.add("the owner goes on", simulator, ["targets.json"])
    print(json.dumps(plan.steps))


if __name__ == "__main__":
    main()
