"""Tenet's log beside programs that know nothing of it: aics-tlog (tiles, proofs, cosignatures) and aics-witness (a
witness, and a log's side of one). Run by scripts/interop, which starts the servers."""

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from aics_tlog import (
    Checkpoint,
    FileSystemTileReader,
    HttpTileReader,
    MerkleTree,
    VerifiedTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    format_vkey,
    inclusion_proof_from_tiles,
    leaf_hash,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_checkpoint,
    tree_root_from_tiles,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
    vkey_from_ed25519,
)
from aics_witness import WitnessClient, WitnessRejected
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

THEIR_ORIGIN = "their.example/log"


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read()


def wait_for(what: str, seconds: float, ready):
    """What `ready` gives once it gives something; for processes that start, at most `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = ready()
        if value is not None:
            return value
        time.sleep(0.1)
    raise SystemExit(f"not within {seconds} s: {what}")


def audit(place: str, reader, note, key, origin: str) -> None:
    """Everything that their reader can find wrong with a copy."""
    assert verify_checkpoint(note, key, expected_origin=origin).ok
    head = parse_checkpoint(note.text)
    audit_tiles(reader, head.size, head.root)
    tiles = VerifiedTileReader(reader, head.size, head.root)
    for index in {0, 1, head.size // 2, head.size - 1, *range(0, head.size, 37)}:
        proof = inclusion_proof_from_tiles(tiles, index, head.size)
        assert verify_inclusion(leaf_hash(tiles.entry(index)), index, head.size, proof, head.root), index
    for older in {1, 2, head.size - 1, *range(1, head.size, 41)}:
        root = tree_root_from_tiles(tiles, older, head.size)
        proof = consistency_proof_from_tiles(tiles, older, head.size)
        assert verify_consistency(older, head.size, root, head.root, proof), older
    print(f"aics-tlog: {head.size} entries at {place} verify")


def copies(server: str, mirror: str, log_key: str, mirror_key: str, their_key: str, export: str) -> None:
    """The server's log, the mirror's copy and an export, by their reader; both cosignatures by their verifier."""
    key = parse_vkey(log_key)
    witnesses = [parse_vkey(mirror_key), parse_vkey(their_key)]

    def cosigned():
        note = parse_note(get(f"{server}/log/checkpoint"))
        fresh = verify_checkpoint(note, key, witnesses, 2, max_age_seconds=60, max_future_seconds=30)
        return note if fresh.ok and parse_checkpoint(note.text).size > 256 else None

    note = wait_for("both cosignatures on the server's checkpoint", 60, cosigned)
    assert not verify_checkpoint(note, key, witnesses, 3).ok, "three of two can't have cosigned"
    audit("the server", HttpTileReader(f"{server}/log/"), note, key, key.name)
    mirrored = parse_note(get(f"{mirror}/checkpoint"))
    assert verify_checkpoint(mirrored, key, [witnesses[0]], 1, max_age_seconds=60).ok
    audit("the mirror", HttpTileReader(f"{mirror}/"), mirrored, key, key.name)
    exported = Path(export)
    audit("the export", FileSystemTileReader(exported), parse_note((exported / "checkpoint").read_bytes()), key, key.name)


def our_witness(address: str, witness_key: str, key_file: str) -> None:
    """Our witness under their client: a log of theirs grows, is brought up to date, and forks."""
    seed = Path(key_file).read_bytes()
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key = vkey_from_ed25519(THEIR_ORIGIN, private.public_key())
    tree = MerkleTree([f"message {n}\n".encode() for n in range(900)])

    def signed(of, size):
        return sign_checkpoint(Checkpoint(THEIR_ORIGIN, size, of.root(size)), private, THEIR_ORIGIN)

    client = WitnessClient(address, parse_vkey(witness_key))
    for size in (1, 2, 255, 256, 700, 700, 900):
        note = signed(tree, size)
        line = client.submit(note.to_bytes(), tree.consistency_proof)
        merged = parse_note(note.to_bytes() + line.encode())
        assert verify_checkpoint(merged, key, [parse_vkey(witness_key)], 1, max_age_seconds=60).ok
    fork = MerkleTree([f"message {n if n != 500 else 'altered'}\n".encode() for n in range(950)])
    for size in (900, 950):
        try:
            WitnessClient(address, parse_vkey(witness_key)).submit(signed(fork, size).to_bytes(), fork.consistency_proof)
        except WitnessRejected as refusal:
            assert refusal.status == 422, refusal
        else:
            raise SystemExit(f"a fork of {size} was cosigned")
    print("aics-witness: its client has our witness cosign seven checkpoints, and no fork")


def new_log(key_file: str) -> None:
    """A key of theirs; prints its verifier key."""
    private = Ed25519PrivateKey.generate()
    Path(key_file).write_bytes(private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    print(format_vkey(vkey_from_ed25519(THEIR_ORIGIN, private.public_key())))


def bundle_file(copy: Path, index: int) -> Path:
    """The file of the bundle that holds an entry."""
    whole = copy / "tile" / "entries" / f"{index // 256:03}"
    return whole if whole.is_file() else next(whole.with_suffix(".p").iterdir())


def entries(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        found.append(data[at:end])
        at = end
    return found


def damage(copy: Path, kind: str, index: int) -> None:
    """Does one kind of damage to a copy, at an entry."""
    file, place = bundle_file(copy, index), index % 256
    held = entries(file.read_bytes())
    if kind == "flipped bit":
        at = len(held[place]) // 2
        held[place] = held[place][:at] + bytes([held[place][at] ^ 4]) + held[place][at + 1 :]
        file.write_bytes(b"".join(held))
    elif kind == "swapped entry":
        held[place], held[place + 1] = held[place + 1], held[place]
        file.write_bytes(b"".join(held))
    elif kind == "removed tail":
        file.write_bytes(b"".join(held[:place]))
    elif kind == "flipped hash":
        tile = Path(str(file).replace("/entries/", "/0/"))
        data = bytearray(tile.read_bytes())
        data[place * 32 + 7] ^= 1
        tile.write_bytes(data)
    elif kind == "rewritten checkpoint":
        note = (copy / "checkpoint").read_text()
        lines = note.split("\n")
        lines[1] = str(int(lines[1]) - 1)
        (copy / "checkpoint").write_text("\n".join(lines))


def damages(tenet: str, export: str, log_key_file: str, program: str, work: str) -> None:
    """Each kind of damage is found by our verifier, which names the first bad entry, and by both of theirs."""
    key = parse_vkey(Path(log_key_file).read_text().strip())
    size = parse_checkpoint(parse_note((Path(export) / "checkpoint").read_bytes()).text).size
    assert size > 400, size
    last = size - 3
    for kind, index, named in [
        ("flipped bit", 17, 17),
        ("flipped bit", 300, 300),
        ("swapped entry", 100, 100),
        ("removed tail", last, last),
        ("flipped hash", 40, 40),
        ("rewritten checkpoint", 0, None),
    ]:
        copy = Path(work) / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(export, copy)
        damage(copy, kind, index)
        ours = subprocess.run(
            [tenet, "--json", "log", "verify", str(copy), "--key", log_key_file], capture_output=True, text=True
        )
        said = ours.stdout + ours.stderr
        assert ours.returncode == 7, f"{kind}: {ours.returncode} {said}"
        why = json.loads(ours.stderr)["error"]["why"]
        if named is not None:
            assert re.search(rf"\b{named}\b", why), f"{kind}: {named} is not named: {why}"
        go = subprocess.run([program, str(copy), log_key_file], capture_output=True, text=True)
        assert go.returncode == 7, f"{kind}: go {go.returncode} {go.stdout}"
        try:
            note = parse_note((copy / "checkpoint").read_bytes())
            audit("a damaged copy", FileSystemTileReader(copy), note, key, key.name)
        except Exception as found:  # theirs has several kinds of error; any of them is a finding
            if isinstance(found, SystemExit):
                raise
        else:
            raise SystemExit(f"aics-tlog does not find: {kind}")
        print(f"{kind} at {index}: found by all three; ours says: {why}")


def tables(tenet: str, export: str, log_key_file: str, work: str) -> None:
    """The events that were taken out say the same in all three forms, to DuckDB's own readers."""
    import duckdb

    said = {}
    for form in ("ocsf", "csv", "parquet"):
        out = Path(work) / f"events.{form}"
        done = subprocess.run(
            [tenet, "--json", "log", "extract", export, "--key", log_key_file, "--format", form, "--out", str(out)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        source = {
            "ocsf": f"(SELECT metadata.event_code activity, metadata.uid event_id, actor.user.uid actor, "
            f"CAST(time_dt AS TIMESTAMPTZ) AS happened FROM read_json('{out}', union_by_name=true, sample_size=-1))",
            "csv": f"(SELECT activity, event_id, actor, CAST(time AS TIMESTAMPTZ) AS happened FROM read_csv('{out}', all_varchar=true))",
            "parquet": f"(SELECT activity, event_id, actor, time AS happened FROM '{out}')",
        }[form]
        said[form] = duckdb.sql(
            f"SELECT activity, actor, count(*), count(DISTINCT event_id), min(happened), max(happened) FROM {source} GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
    assert len(said["ocsf"]) > 5 and sum(row[2] for row in said["ocsf"]) > 400, said["ocsf"]
    assert said["ocsf"] == said["csv"] == said["parquet"], said
    leaves = duckdb.sql(f"SELECT event FROM '{Path(work) / 'events.parquet'}' ORDER BY \"index\"").fetchall()
    assert [row[0] for row in leaves] == (Path(work) / "events.ocsf").read_text().splitlines()
    print(f"DuckDB reads the same {len(leaves)} events in JSON lines, CSV and Parquet")


if __name__ == "__main__":
    {
        "tables": tables,
        "copies": copies,
        "our-witness": our_witness,
        "new-log": new_log,
        "damages": damages,
    }[sys.argv[1]](*sys.argv[2:])
