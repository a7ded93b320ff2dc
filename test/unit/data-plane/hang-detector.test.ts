import { describe, expect, test } from 'vitest';
import { createHangDetector, type Watched } from '../../../src/data-plane/hang-detector.ts';

const SILENCE_MS = 5_000;
const SUSPICION_MS = 1_500;

/** A session as the watch sees it; a node that hangs answers nobody. */
class Session {
  readonly silenceTimeoutMs = SILENCE_MS;
  node: string;
  asked = 0;
  checked = 0;
  hangs = false;

  constructor(node: string) {
    this.node = node;
  }

  get target() {
    return { slot: this.node.charCodeAt(0), nodeId: this.node, host: '', port: 0 };
  }

  isQuiet = false;

  mayAsk(): boolean {
    return !this.isQuiet;
  }

  ask(): number {
    return this.asked++;
  }

  isSilent(): boolean {
    return this.hangs;
  }

  check(): void {
    this.checked++;
  }
}

const wire = { guard: <T>(run: () => T): T => run() };

function stage(nodes: readonly string[], draw = 0) {
  let nowMs = 0;
  const sessions = nodes.map((node) => new Session(node));
  const connections: Watched[] = sessions.map((session) => ({ session, placedAtMs: 1, wire }));
  const watch = createHangDetector(
    () => nowMs,
    () => draw,
  );
  return {
    sessions,
    connections,
    look: (unhealthy: readonly string[] = [], afterMs = 500) => {
      nowMs += afterMs;
      watch.look([connections.slice(0, 1), connections.slice(1)], unhealthy);
    },
    asked: () => sessions.map(({ asked }) => asked),
    checked: () => sessions.map(({ checked }) => checked),
    hang: (node: string, hangs = true) => {
      for (const session of sessions) if (session.node === node) session.hangs = hangs;
    },
  };
}

test('one session of each node is asked at every look, drawn by lot', () => {
  const first = stage(['a', 'a', 'a', 'b'], 0.999);
  first.look();
  expect(first.asked()).toEqual([1, 0, 0, 1]);
  first.look();
  expect(first.asked()).toEqual([2, 0, 0, 2]);
  const last = stage(['a', 'a', 'a', 'b'], 0);
  last.look();
  expect(last.asked()).toEqual([0, 0, 1, 1]);
});

test('in the name of a device that says nothing no node is asked', () => {
  const { look, sessions, asked } = stage(['a', 'a', 'a', 'b']);
  for (const at of [0, 2, 3]) Object.assign(sessions[at] as Session, { isQuiet: true });
  look();
  look();
  expect(asked()).toEqual([0, 2, 0, 0]);
});

test('every session of a node has the same chance', () => {
  const draws = [0, 0, 0];
  let seed = 1;
  const random = (): number => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  for (let i = 0; i < 3_000; i++) {
    const sessions = [new Session('a'), new Session('a'), new Session('a')];
    createHangDetector(() => 0, random).look(
      sessions.map((session) => [{ session, placedAtMs: 1, wire }]),
      [],
    );
    sessions.forEach(({ asked }, at) => {
      draws[at] = (draws[at] ?? 0) + asked;
    });
  }
  for (const count of draws) expect(count).toBeGreaterThan(850);
});

describe('a node that hangs', () => {
  test('is suspected when one answer is late: then each of its sessions has to ask, and no other', () => {
    const { look, hang, checked, asked } = stage(['a', 'a', 'b']);
    hang('a');
    look();
    look();
    look();
    expect([checked(), asked()]).toEqual([
      [0, 0, 0],
      [0, 1, 3],
    ]);
    look(); // 1.5 s after it was asked
    expect(checked()).toEqual([1, 1, 0]);
  });

  test('is suspected again as long as it hangs and has sessions', () => {
    const { look, hang, checked } = stage(['a']);
    hang('a');
    look();
    look([], SUSPICION_MS);
    look();
    look([], SUSPICION_MS);
    expect(checked()).toEqual([2]);
  });

  test('is not suspected when it has answered, however late the look', () => {
    const { look, hang, checked } = stage(['a']);
    hang('a');
    look();
    hang('a', false);
    look([], 60_000);
    expect(checked()).toEqual([0]);
  });

  test('is not suspected for a session that has moved away since', () => {
    const { look, sessions, hang, checked } = stage(['a', 'b']);
    hang('a');
    look();
    for (const session of sessions) session.node = 'b';
    look([], SUSPICION_MS);
    expect(checked()).toEqual([0, 0]);
  });
});

test('a node that probes find unhealthy is suspected at once, and once', () => {
  const { look, checked } = stage(['a', 'b']);
  look(['a']);
  look(['a']);
  expect(checked()).toEqual([1, 0]);
  look([]);
  look(['a', 'b']);
  expect(checked()).toEqual([2, 1]);
});

test('devices that are not placed, and those that are relayed, are never sampled', () => {
  const { connections, sessions, look, asked } = stage([]);
  const unplaced = new Session('a');
  sessions.push(unplaced);
  connections.push({ session: unplaced, placedAtMs: 0, wire }, { session: undefined, placedAtMs: 1, wire });
  look(['a']);
  expect([asked(), unplaced.checked]).toEqual([[0], 0]);
});
