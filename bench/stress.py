"""Random work with random kills, and then a look whether every promise was kept.

`python bench/stress.py --rounds 2000 --seed 7`. A round is one random action: a front submits, cancels, retries,
removes or looks at a task, or a front, the supervisor, a keeper or a task is killed with SIGKILL. The seed fixes what
is done in which order; when it happens is up to the machine. Exit code 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
from stress_check import Findings, processes_of

from claudine_mcp.core.errors import ClaudineError
from claudine_mcp.core.identity import Identity
from claudine_mcp.executors.local import RunDirectory, StartRecord
from claudine_mcp.front import supervision
from claudine_mcp.front.front import Front, open_front
from claudine_mcp.host.lease import is_held
from claudine_mcp.host.signals import send
from claudine_mcp.registry.leases import holder

WORKER = Path(__file__).with_name("stress_worker.py")
FRONTS = 5
ANSWER_S = 90.0
SETTINGS: dict[str, Any] = {
    "supervisor": {"idleExit": "2s"},
    "limits": {"killGrace": "200ms", "softMaxConcurrent": 24, "hardMaxConcurrent": 30},
    "monitoring": {"sampleInterval": "200ms"},
}
NOTE = "echo $CLAUDINE_RUN >> journal; "
COMMANDS: dict[str, tuple[int, str]] = {
    "exit 0": (30, "exit 0"),
    "exit 3": (10, "exit 3"),
    "exit 0 later": (15, "sleep 0.3"),
    "signal": (4, "kill -9 $$"),
    "children": (6, "(sleep 0.6 & sleep 0.4 & wait) & sleep 0.2 & wait"),
    "stubborn": (5, "trap '' TERM INT; sleep 1; sleep 1"),
    "leaves a server": (6, "setsid sleep 2 & exit 0"),
    "leaves a daemon": (3, "(setsid env -i sleep 2 &) & exit 0"),
    "long": (3, "exec sleep 600"),
    "output": (5, "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done"),
}
"""Name: how often, and the script. `exit N` in the name is what it exits with."""

ACTIONS = {
    "submit": 46,
    "cancel": 12,
    "retry": 7,
    "remove": 5,
    "look": 8,
    "kill supervisor": 6,
    "kill keeper": 6,
    "kill task": 4,
    "kill front": 6,
}


class Worker:
    """A front as a process, started anew whenever it has been killed."""

    def __init__(self, env: dict[str, str], cwd: Path) -> None:
        self._env, self._cwd = env, cwd
        self._process: anyio.abc.Process | None = None
        self._rest = b""
        self.killed = False

    async def ask(self, order: dict[str, Any]) -> dict[str, Any] | None:
        """Give the answer, None if it was killed before it could.

        Raises:
            RuntimeError: it died without having been killed, or gave no answer.
        """
        if self._process is None:
            self.killed = False
            self._process = await anyio.open_process(
                [sys.executable, str(WORKER)], env=self._env, cwd=self._cwd, stderr=None
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with anyio.fail_after(ANSWER_S):
                await process.stdin.send(json.dumps(order).encode() + b"\n")
                while b"\n" not in self._rest:
                    self._rest += await process.stdout.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self.close()
            if not self.killed:
                raise RuntimeError(f"a front died over {order}") from None
            return None
        except TimeoutError:
            raise RuntimeError(f"a front gave no answer to {order} in {ANSWER_S:.0f} s") from None
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def kill(self) -> bool:
        """Kill it, if it lives."""
        if self._process is None:
            return False
        self.killed = True
        try:
            self._process.kill()
        except ProcessLookupError:
            return False
        return True

    async def close(self) -> None:
        """End it and forget what it said."""
        if self._process is not None:
            await self._process.aclose()
        self._process, self._rest = None, b""


class Stress:
    """One run of the program.

    Attributes:
        ids: of tasks that a front was told of, and that were not asked to be removed.
        done: how often each action was taken.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.state_dir, self.work = folder / "state", folder / "work"
        self.work.mkdir(exist_ok=True)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("CLAUD")}
        self.env |= {"CLAUDINE_HOME": str(self.state_dir), "CLAUDINE_CONFIG": str(folder / "config.json")}
        (folder / "config.json").write_text(json.dumps(SETTINGS))
        self.random = random.Random(seed)
        self.ids: list[str] = []
        self.done = Counter[str]()
        self.broken: list[str] = []
        self.workers = [Worker(self.env, self.work) for _ in range(FRONTS)]
        self._idle_send, self._idle = anyio.create_memory_object_stream[Worker](FRONTS)

    async def run(self, rounds: int) -> list[str]:
        """Do the rounds, bring everything to an end, and give the promises that were broken."""
        async with open_front(self.env, str(self.work), {"by": "stress"}) as front:
            async with anyio.create_task_group() as group:
                for worker in self.workers:
                    self._idle_send.send_nowait(worker)
                for number in range(rounds):
                    await self.round(front, group)
                    if sys.stderr.isatty():
                        print(f"\r{number + 1}/{rounds} ", end="", file=sys.stderr)
            for worker in self.workers:
                await worker.close()
            await self.finish(front)
        self._idle_send.close()
        self._idle.close()
        findings = Findings(self.state_dir, self.work / "journal")
        self.outcomes = Counter(task["outcome"] for task in findings.tasks)
        return self.broken + findings.problems(set(self.ids))

    async def round(self, front: Front, group: anyio.abc.TaskGroup) -> None:
        """Take one action; only kills are waited for."""
        (action,) = self.random.choices(list(ACTIONS), list(ACTIONS.values()))
        if action.startswith("kill"):
            await self.kill(front, action.removeprefix("kill "))
            return
        order = self.order(action)
        worker = await self._idle.receive()
        group.start_soon(self.have_done, worker, order)

    async def have_done(self, worker: Worker, order: dict[str, Any]) -> None:
        """Have a front do something, and note what came of it."""
        try:
            answer = await worker.ask(order)
        except RuntimeError as error:
            self.broken.append(str(error))
            await worker.close()
            answer = None
        self.done[order["do"] if answer is not None else "lost with its front"] += 1
        if answer is not None and order["do"] == "submit":
            if "id" in answer:
                self.ids.append(answer["id"])
            elif "TaskNotFound" not in answer["refused"] and "there is no task" not in answer["refused"]:
                self.broken.append(f"{order}: {answer}")
        self._idle_send.send_nowait(worker)

    def order(self, action: str) -> dict[str, Any]:
        """Choose what exactly is to be done."""
        recent = self.ids[-25:]
        if action == "submit" or not recent:
            name = self.random.choices(list(COMMANDS), [weight for weight, _ in COMMANDS.values()])[0]
            request: dict[str, Any] = {
                "command": NOTE + COMMANDS[name][1],
                "name": name.removesuffix(" later"),
            }
            request["priority"] = self.random.choice(["P0", "P1", "P1", "P2"])
            if recent and self.random.random() < 0.15:
                on = self.random.choice(["success", "end"])
                request["depends_on"] = [{"taskId": self.random.choice(recent), "on": on}]
            return {"do": "submit", "request": request}
        task_id = self.random.choice(recent if action != "remove" else self.ids)
        if action == "remove":
            self.ids.remove(task_id)
        return {"do": action, "id": task_id}

    async def kill(self, front: Front, whom: str) -> None:
        """Kill one of a kind, if there is one."""
        if whom == "front":
            hit = self.random.choice(self.workers).kill()
        elif whom == "supervisor":
            async with front.db.read() as tx:
                last = await holder(tx)
            hit = last.identity is not None and send(Identity.parse(last.identity), signal.SIGKILL)
        else:
            known = [start for task_id in self.ids[-25:] if (start := self.start_of(task_id)) is not None]
            self.random.shuffle(known)
            victims = [start.keeper if whom == "keeper" else start.main for start in known]
            hit = any(victim is not None and send(victim, signal.SIGKILL) for victim in victims)
        self.done[f"killed {whom}" if hit else "nobody to kill"] += 1

    def start_of(self, task_id: str) -> StartRecord | None:
        """Give the start of a task's newest run."""
        try:
            runs = [path for path in (self.state_dir / "tasks" / task_id).iterdir() if path.name.isdecimal()]
            return RunDirectory(max(runs, key=lambda path: int(path.name))).start()
        except (OSError, ValueError):
            return None

    async def finish(self, front: Front) -> None:
        """Wait for what ends by itself, cancel the rest, then wait until nobody is there any more."""
        supervision.LOOK_EVERY_S = 0.2
        async with anyio.create_task_group() as group:
            group.start_soon(supervision.keep_supervised, front.db, self.state_dir, self.env)
            with anyio.move_on_after(60) as scope:
                while await self.unfinished(front, "name != 'leaves a daemon'"):
                    # Again and again: what a front asked for before it was killed may be a retry.
                    await self.cancel(front, await self.unfinished(front, "name = 'long'"))
                    await anyio.sleep(0.1)
            if scope.cancelled_caught:
                self.broken.append(f"never ended: {await self.unfinished(front, '1')}")
            await self.cancel(front, await self.unfinished(front, "1"))
            group.cancel_scope.cancel()
        with anyio.move_on_after(30):
            while is_held(self.state_dir) or processes_of(self.state_dir):  # noqa: ASYNC110 - the supervisor leaves when nothing is left to do
                await anyio.sleep(0.1)

    async def cancel(self, front: Front, ids: list[str]) -> None:
        """Cancel these, one after the other."""
        for task_id in ids:
            try:
                with anyio.fail_after(ANSWER_S):
                    await front.cancel(task_id)
            except (ClaudineError, TimeoutError) as error:
                self.broken.append(f"{task_id} cannot be cancelled: {error!r}")

    async def unfinished(self, front: Front, condition: str) -> list[str]:
        """Give the tasks that may still have processes."""
        async with front.db.read() as tx:
            rows = await tx.all(
                "SELECT DISTINCT id FROM tasks LEFT JOIN runs ON task_id = id"
                f" WHERE {condition} AND (state != 'ended' OR (n IS NOT NULL AND gone_at IS NULL))"
            )
        return [row["id"] for row in rows]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, help="an empty folder to work in, which is kept; default: a new one"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="claudine-stress-")) if options.folder is None else options.folder
    began = time.monotonic()
    stress = Stress(folder, options.seed)
    try:
        problems = anyio.run(stress.run, options.rounds)
    finally:
        for pid in processes_of(folder):
            os.kill(pid, signal.SIGKILL)
    print(f"{options.rounds} rounds with seed {options.seed} in {time.monotonic() - began:.0f} s")
    print("done: " + ", ".join(f"{count} {what}" for what, count in sorted(stress.done.items())))
    print("outcomes: " + ", ".join(f"{count} {what}" for what, count in sorted(stress.outcomes.items())))
    for problem in problems:
        print(f"BROKEN: {problem}")
    if problems:
        print(f"What there is to see is kept in {folder}", file=sys.stderr)
        return 1
    if options.folder is None:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
