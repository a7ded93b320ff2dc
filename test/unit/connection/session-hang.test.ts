import { describe, expect, test } from 'vitest';
import { moves, retryPolicy } from './scene.ts';
import { goOn, hung, PACE_MS, type SessionScene, type SessionSceneOptions, served } from './session-scene.ts';

// The node that serves hangs: another is asked for the session, and the link is kept until one has accepted.

const v5 = { version: 5 } as const;
const DEVICE = 'CONNECT id=dev will=gone';
const LOCK_MS = moves.reattachConnackDeadlineMs;
/** The first: 250 ms with a random number of 0.5. */
const BACKOFF_MS = 188;
const LOOK_MS = retryPolicy.connackTimeoutMs / 2;

/** The same, and `b` has been asked. */
function asked(connect = DEVICE, options: SessionSceneOptions = {}): SessionScene {
  return goOn(
    hung(connect, options),
    `
    time: ${PACE_MS}
      dial b
    b: opens
      b gets ${connect.replace(' clean', '')}`,
  );
}

describe('a node that does not answer one session', () => {
  const unanswered = (version: 4 | 5 = 4) =>
    goOn(
      served(DEVICE, { evidence: 'ask', version }),
      `
      owner: check
        a gets PINGREQ
      time: ${0.4 * moves.silenceTimeoutMs}
        is a gone?`,
    );

  test('and lives for others is waited for, as without us: it may limit the rate of the device', () => {
    goOn(
      unanswered(),
      `
      owner: verdict lives
      device: PUBLISH #1 q1 t=1 | PINGREQ
        a gets PUBLISH #1 q1 t=1
        a gets PINGREQ
      a: PUBACK #1 | PINGRESP | PINGRESP
        device gets PUBACK #1
        device gets PINGRESP
      owner: check
        a gets PINGREQ
      time: ${0.4 * moves.silenceTimeoutMs}
        is a gone?
      owner: verdict no-answer
        a failed: silent
      time: ${PACE_MS}
        dial b`,
    );
  });

  test('and speaks before it is known is not looked at any more', () => {
    goOn(
      unanswered(),
      `
      a: PINGRESP
        never mind`,
    );
  });

  test('nor is it when the device leaves', () => {
    goOn(
      unanswered(),
      `
      device: DISCONNECT
        a gets DISCONNECT
        never mind`,
    );
  });
});

describe('until another node has accepted the session', () => {
  test('the link is kept, the device’s pings are answered, and what it sends waits; then the old node gets a goodbye', () => {
    goOn(
      asked(),
      `
      -- a says nothing. b accepts, a speaks once more and is silent again; then b has the session, and a a goodbye.
      device: PUBLISH #1 q1 t=1 | PINGREQ | PUBLISH t=2
        device gets PINGRESP
      a: PUBLISH #9 q1 u=9
        device gets PUBLISH #9 q1 u=9
      b: CONNACK present
      a: PINGRESP
      time: ${retryPolicy.connackTimeoutMs - 1}
      time: 1
        b gets PUBLISH #1 q1 t=1
        b gets PUBLISH t=2
        a gets DISCONNECT
        end a: flush
        moved (node-silent) from a to b present after ${PACE_MS + retryPolicy.connackTimeoutMs}`,
    );
  });

  test('the old node’s last words are heard, so that nothing is sent again that it took', () => {
    goOn(
      served(DEVICE, { evidence: 'ask' }),
      `
      -- a hangs with two exchanges open. b accepts; a wakes and answers both; so b is sent only what is left.
      device: PUBLISH #1 q2 t=1 | PUBLISH #2 q1 t=2
        a gets PUBLISH #1 q2 t=1
        a gets PUBLISH #2 q1 t=2
      owner: check
        a gets PINGREQ
      time: ${0.4 * moves.silenceTimeoutMs}
        is a gone?
      owner: verdict no-answer
        a failed: silent
      time: ${PACE_MS}
        dial b
      b: opens
        b gets ${DEVICE}
      b: CONNACK present
      b: PUBLISH u=x
      a: PUBREC #1 | PUBACK #2
        device gets PUBREC #1
        device gets PUBACK #2
      device: PUBREL #1
      a: fin
        end a: reset
        b gets PUBREL #1
        device gets PUBLISH u=x
        moved (node-silent) from a to b present after ${PACE_MS}`,
    );
  });

  test('a node that has spoken to other sessions only is back and busy: its last words are waited for', () => {
    const scene = goOn(
      served(DEVICE, { evidence: 'ask' }),
      `
      device: PUBLISH #1 q2 t=1
        a gets PUBLISH #1 q2 t=1
      owner: check
        a gets PINGREQ
      time: ${0.4 * moves.silenceTimeoutMs}
        is a gone?
      owner: verdict no-answer
        a failed: silent
      time: ${PACE_MS}
        dial b
      b: opens
        b gets ${DEVICE}
      b: CONNACK present
      time: 199`,
    );
    scene.spokenAtMs.set('a', scene.nowMs);
    goOn(
      scene,
      `
      -- a woke and answered others 199 ms after b accepted. What it took from this session it acknowledges later.
      time: 1
      time: 1000
      a: PUBREC #1
        device gets PUBREC #1
      device: PUBREL #1
      a: fin
        end a: reset
        b gets PUBREL #1
        moved (node-silent) from a to b present after ${PACE_MS + 1200}`,
    );
  });

  test('so they are where it has spoken before the CONNACK; but not for ever', () => {
    const scene = asked();
    scene.spokenAtMs.set('a', scene.nowMs);
    goOn(
      scene,
      `
      b: CONNACK present
      time: ${retryPolicy.connackTimeoutMs - 1}
      time: 1
        a gets DISCONNECT
        end a: flush
        moved (node-silent) from a to b present after ${PACE_MS + retryPolicy.connackTimeoutMs}`,
    );
  });

  test('what it has said before it fell silent counts for nothing', () => {
    const scene = asked();
    scene.spokenAtMs.set('a', scene.nowMs - PACE_MS - moves.silenceTimeoutMs - 1);
    goOn(
      scene,
      `
      b: CONNACK present
      time: 200
        a gets DISCONNECT
        end a: flush
        moved (node-silent) from a to b present after ${PACE_MS + 200}`,
    );
  });

  test('the node that has accepted is not left without a word for longer than its keep-alive', () => {
    const scene = asked('CONNECT id=dev keepalive=4');
    scene.spokenAtMs.set('a', scene.nowMs);
    goOn(
      scene,
      `
      device: PINGREQ
        device gets PINGRESP
      b: CONNACK present
      time: 3999
        a gets PINGREQ
      time: 1
        a gets DISCONNECT
        end a: flush
        moved (node-silent) from a to b present after ${PACE_MS + 4000}`,
    );
  });

  test('what it says to a session that found it silent is told to the others', () => {
    const scene = goOn(
      asked(),
      `
      a: PINGRESP`,
    );
    expect(scene.spokenAtMs.get('a')).toBe(scene.nowMs);
  });

  test('a node that shares nothing has it at once', () => {
    goOn(
      asked(),
      `
      b: CONNACK
        a gets DISCONNECT
        end a: flush
        moved (node-silent) from a to b rebuilt after ${PACE_MS}`,
    );
  });

  test('one node is asked at a time, and never the one that hangs', () => {
    goOn(
      hung(DEVICE),
      `
      -- a hangs. b refuses, then c: one at a time, then a pause, and b again. a is never asked.
      time: ${PACE_MS}
        dial b
      b: refuses
        b failed: refused
      time: ${PACE_MS}
        dial c
      c: refuses
        c failed: refused
      time: ${BACKOFF_MS + PACE_MS}
        dial b`,
    );
  });

  test('a CONNECT that was sent is waited for while its node lives; then it is left with a DISCONNECT, and nobody is asked as long again', () => {
    goOn(
      asked(),
      `
      -- b was asked and lives. Its answer is waited for as long as a cluster's lock lasts, then it is left in order.
      time: ${LOOK_MS}
        is b gone?
      owner: verdict lives
      time: ${LOCK_MS - LOOK_MS - 1}
        is b gone?
        is b gone?
        is b gone?
        is b gone?
      time: 1
        b gets DISCONNECT
        end b: flush
        never mind
      time: ${LOCK_MS - 1}
      time: ${1 + PACE_MS}
        dial b`,
    );
  });

  test('it is left earlier when its node turns out to be gone', () => {
    goOn(
      asked(),
      `
      time: ${LOOK_MS}
        is b gone?
      owner: verdict refused
        b gets DISCONNECT
        end b: flush
        b failed: connack-timeout
      time: ${PACE_MS}
        dial c`,
    );
  });

  test('one probe that it does not answer in time is no reason: it may be busy, and its CONNACK under way', () => {
    goOn(
      asked(),
      `
      device: PUBLISH #1 q1 t=1
      time: ${LOOK_MS}
        is b gone?
      owner: verdict no-answer
      b: CONNACK present | PUBLISH u=x
      a: fin
        end a: reset
        b gets PUBLISH #1 q1 t=1
        device gets PUBLISH u=x
        moved (node-silent) from a to b present after ${PACE_MS + LOOK_MS}`,
    );
  });

  test('two in a row are, where another node can be asked; the second is a probe of its own', () => {
    const scene = goOn(
      asked(),
      `
      time: ${LOOK_MS}
        is b gone?
      owner: verdict no-answer
      time: ${LOOK_MS}
        is b gone?`,
    );
    expect(scene.asksOf()).toEqual([{ node: 'b', attachedAtMs: scene.nowMs }]);
    goOn(
      scene,
      `
      owner: verdict no-answer
        b gets DISCONNECT
        end b: flush
        b failed: connack-timeout
      time: ${PACE_MS}
        dial c`,
    );
  });

  test('an answer in between begins the count anew', () => {
    goOn(
      asked(),
      `
      time: ${LOOK_MS}
        is b gone?
      owner: verdict no-answer
      time: ${LOOK_MS}
        is b gone?
      owner: verdict lives
      time: ${LOOK_MS}
        is b gone?
      owner: verdict no-answer`,
    );
  });

  test('where there is no other node it is waited for to the deadline, and asked again soon if it hangs as well', () => {
    goOn(
      asked(DEVICE, { nodes: ['a', 'b'] }),
      `
      time: ${LOOK_MS}
        is b gone?
      owner: verdict no-answer
      time: ${LOOK_MS}
        is b gone?
      owner: verdict no-answer
      time: ${LOCK_MS - 2 * LOOK_MS}
        is b gone?
        is b gone?
        is b gone?
        b gets DISCONNECT
        end b: flush
        never mind
      time: ${BACKOFF_MS + PACE_MS}
        dial b`,
    );
  });

  test('a node that closes without an answer, after long, is not to blame', () => {
    goOn(
      asked(),
      `
      time: ${LOOK_MS}
        is b gone?
      owner: verdict lives
      b: fin
        end b: reset
      time: ${BACKOFF_MS + PACE_MS}
        dial b`,
    );
  });

  test.each([
    [4, 'CONNACK code=2'],
    [5, 'CONNACK code=133'],
  ] as const)('the lock of the client id (%d: %s) means later', (version, refusal) => {
    goOn(
      asked(DEVICE, { version }),
      `
      b: ${refusal}
        end b: reset
      time: ${LOCK_MS - 1}
      time: ${1 + PACE_MS}
        dial b`,
    );
  });

  test.each([0x87, 0x88, 0x89, 0x97, 0x9f])('so does %d, and another node is asked', (code) => {
    goOn(
      asked(DEVICE, v5),
      `
      -- b says no, c says no. The session stays with a, and others are asked again much later.
      b: CONNACK code=${code}
        end b: reset
      time: ${PACE_MS}
        dial c
      c: opens
        c gets ${DEVICE}
      c: CONNACK code=${code}
        end c: reset
      time: ${LOCK_MS - 1}
      time: ${1 + PACE_MS}
        dial b`,
    );
  });

  test('a node that says anything else than CONNACK is passed over', () => {
    goOn(
      asked(),
      `
      b: PINGRESP
        end b: reset
        b failed: closed-before-connack
      time: ${PACE_MS}
        dial c`,
    );
  });

  test('after a long time the device is told to go, when neither is to be had', () => {
    goOn(
      hung(DEVICE, { nodes: ['a'], version: 5 }),
      `
      time: ${moves.silenceDeadlineMs - 1}
        a gets PINGREQ
      time: 1
        moved (node-silent) from a to nowhere after ${moves.silenceDeadlineMs}
        device gets DISCONNECT code=137
        end a: reset
        end device: flush`,
    );
  });

  test('a session that cannot move waits for its node, as without a proxy', () => {
    const scene = hung('CONNECT id=dev authenticationMethod:X', v5);
    goOn(scene, `device: PINGREQ\na gets PINGREQ\ntime: 50000\na: PINGRESP\ndevice gets PINGRESP`);
  });
});

describe('the node speaks again', () => {
  test('before any was asked: the session stays, and what waited goes to it', () => {
    goOn(
      hung(DEVICE),
      `
      -- a speaks before anybody was asked: all is as before, and what waited goes to a.
      device: PUBLISH #1 q1 t=1
      time: ${PACE_MS}
        dial b
      a: PINGRESP
        end b: reset
        a gets PUBLISH #1 q1 t=1
      device: PINGREQ
        a gets PINGREQ
      a: PINGRESP
        device gets PINGRESP`,
    );
  });

  test('while one is asked: its answer is waited for a moment, because the session may be on its way there', () => {
    goOn(
      asked(),
      `
      device: PUBLISH #1 q1 t=1
      a: PINGRESP
      b: CONNACK present
      a: reset
        end a: reset
        b gets PUBLISH #1 q1 t=1
        moved (node-silent) from a to b present after ${PACE_MS}`,
    );
  });

  test('then the session stays, and what waited goes to its node in order; the answer may still come', () => {
    const scene = goOn(
      asked(),
      `
      -- b was asked, and a speaks. For a while b may still answer; then what waited goes to a, in order.
      device: PUBLISH #1 q1 t=1
      a: PINGRESP
      time: ${LOOK_MS}
        is b gone?
      time: ${LOOK_MS}
        a gets PUBLISH #1 q1 t=1
      device: PUBLISH t=2
        a gets PUBLISH t=2
      a: PUBACK #1
        device gets PUBACK #1`,
    );
    goOn(
      scene,
      `
      b: CONNACK present
      device: PUBLISH t=3
      a: fin
        end a: reset
        b gets PUBLISH t=3
        never mind
        moved (node-silent) from a to b present after ${PACE_MS + 2 * LOOK_MS}`,
    );
  });

  test('or never come: the attempt is withdrawn with a DISCONNECT', () => {
    goOn(
      asked(),
      `
      -- b was asked, a speaks, and b never answers: it is left in order, and a planned move may begin.
      a: PINGRESP
      time: ${LOOK_MS}
        is b gone?
      owner: verdict lives
      time: ${LOCK_MS - LOOK_MS - 1}
        is b gone?
        is b gone?
        is b gone?
      time: 1
        b gets DISCONNECT
        end b: flush
        never mind
      owner: move drain to=c
        dial c
        answer moving`,
    );
  });

  test('a node that does not know the session is left for the one that has it', () => {
    goOn(
      asked(),
      `
      device: PUBLISH t=1
      a: PINGRESP
      b: CONNACK
        b gets DISCONNECT
        end b: flush
        a gets PUBLISH t=1`,
    );
  });

  test('between two attempts, of which one was not refused: the session is fetched whole', () => {
    goOn(
      asked(),
      `
      -- One attempt ended unanswered, so b's cluster may have the session. a speaks, and b is asked once more.
      time: ${LOOK_MS}
        is b gone?
      owner: verdict lives
      b: fin
        end b: reset
      device: PUBLISH t=1
      a: PINGRESP
      time: ${2 * BACKOFF_MS - 1 + PACE_MS}
        dial b
      b: opens
        b gets ${DEVICE}
      b: CONNACK present
      a: fin
        end a: reset
        b gets PUBLISH t=1
        moved (node-silent) from a to b present after ${LOOK_MS + 2 * PACE_MS + 2 * BACKOFF_MS - 1}`,
    );
  });

  test('so it is when the attempt ends just then; but not for ever', () => {
    const again = `
      time: 2100
        dial b
      b: opens
        b gets ${DEVICE}
      b: fin
        end b: reset`;
    goOn(
      asked(),
      `
      device: PUBLISH t=1
      a: PINGRESP
      b: fin
        end b: reset
      ${again}
      ${again}
      ${again}
        a gets PUBLISH t=1`,
    );
  });

  test('the link that ends later was taken by an attempt that was withdrawn, and the session is followed', () => {
    const scene = goOn(
      asked(),
      `
      -- An attempt at b was withdrawn, yet b's cluster took the session from a: that explains why a ends, and b is asked.
      time: ${LOOK_MS}
        is b gone?
      a: PINGRESP
      time: ${LOCK_MS - LOOK_MS}
        is b gone?
        is b gone?
        is b gone?
        b gets DISCONNECT
        end b: flush
        never mind
      a: fin
        end a: reset
      time: ${PACE_MS}
        dial b
      b: opens
        b gets ${DEVICE}
      b: CONNACK present
        b gets PINGREQ
        moved (link-lost) from a to b present after ${PACE_MS}`,
    );
    goOn(scene, `b: fin\nb lost: fin\nis b gone?`); // only once
  });
});

test('a node that was given up may take the session later from the one that has it: it is followed, once for each', () => {
  const scene = goOn(
    asked(DEVICE, v5),
    `
    -- b was given up unanswered, c accepted. Then c says taken over: it was our own CONNECT, and the session is followed.
    time: ${LOOK_MS}
      is b gone?
    owner: verdict refused
      b gets DISCONNECT
      end b: flush
      b failed: connack-timeout
    time: ${PACE_MS}
      dial c
    c: opens
      c gets ${DEVICE}
    c: CONNACK
      a gets DISCONNECT
      end a: flush
      moved (node-silent) from a to c rebuilt after ${LOOK_MS + 2 * PACE_MS}
    c: DISCONNECT code=142
      end c: reset
    time: ${PACE_MS}
      dial a`,
  );
  goOn(
    scene,
    `
    -- It is followed once for each CONNECT that was given up; the next takeover is a real one.
    a: opens
      a gets ${DEVICE}
    a: CONNACK present
      a gets PINGREQ
      moved (link-lost) from c to a present after ${PACE_MS}
    a: DISCONNECT code=142
      device gets DISCONNECT code=142
      end a: reset
      end device: flush`,
  );
});

describe('the link of the silent node ends', () => {
  test.each([
    'refused',
    'no-answer',
  ])('then the node that was asked is left as any other, when it is gone: %s', (evidence) => {
    goOn(
      asked(DEVICE, v5),
      `
      -- a ends its link, so b, which was asked, is waited for. Then b is gone too, and c is asked. b took it in the end.
      time: ${LOOK_MS}
        is b gone?
      a: reset
        end a: reset
      owner: verdict ${evidence}
        b gets DISCONNECT
        end b: flush
        b failed: connack-timeout
      time: ${PACE_MS}
        dial c
      c: opens
        c gets ${DEVICE}
      c: CONNACK present
        c gets PINGREQ
        moved (node-silent) from a to c present after ${LOOK_MS + 2 * PACE_MS}
      c: DISCONNECT code=142
        end c: reset
      time: ${PACE_MS}
        dial a`,
    );
  });

  test('the attempt that is under way goes on', () => {
    goOn(
      asked(),
      `
      a: reset
        end a: reset
      device: PINGREQ | PUBLISH t=1
        device gets PINGRESP
      b: CONNACK
        b gets PUBLISH t=1
        moved (node-silent) from a to b rebuilt after ${PACE_MS}`,
    );
  });

  test('by 0x8E, which is our own doing then', () => {
    goOn(
      asked(DEVICE, v5),
      `
      a: DISCONNECT code=142
        end a: reset
      b: CONNACK present
        moved (node-silent) from a to b present after ${PACE_MS}`,
    );
  });

  test('by 0x8E when nobody was asked: another connection of the device has the session', () => {
    goOn(
      hung(DEVICE, v5),
      `
      a: DISCONNECT code=142
        device gets DISCONNECT code=142
        end a: reset
        end device: flush`,
    );
  });
});

describe('a newer connection of the device was accepted', () => {
  test('its session is not asked for any more (rule 14)', () => {
    goOn(
      asked(DEVICE, v5),
      `
      owner: supersede same
        device gets DISCONNECT code=142
        b gets DISCONNECT
        end b: flush
        a gets DISCONNECT
        end a: flush
        end device: flush`,
    );
  });

  test('nor is it taken back when its link ends', () => {
    goOn(
      asked(DEVICE, v5),
      `
      owner: supersede other
      a: DISCONNECT code=142
        device gets DISCONNECT code=142
        b gets DISCONNECT
        end b: flush
        end a: reset
        end device: flush`,
    );
  });
});

describe('the device', () => {
  test('vanishes: its Will is the silent node’s to publish, and no other’s', () => {
    goOn(
      asked(),
      `
      device: reset
        b gets DISCONNECT
        end b: flush
        end a: reset
        end device: reset`,
    );
  });

  test('and says nothing is not given up for that: the node that takes it will judge', () => {
    const scene = asked('CONNECT id=dev keepalive=20', v5);
    scene.pass(20_000);
    scene.did();
    scene.pass(30_000);
    expect(scene.did()).not.toContain('a gets PINGREQ');
    expect(scene.deviceDone).toBeUndefined();
  });

  test('leaves, and its DISCONNECT waits with all that it sent before', () => {
    const scene = asked();
    goOn(
      scene,
      `
      -- The device says its last while a hangs: b gets all of it, and the device what b answers.
      device: PUBLISH #1 q1 t=1 | DISCONNECT
      device: fin
      b: CONNACK
        b gets PUBLISH #1 q1 t=1
        b gets DISCONNECT
        finish b
        a gets DISCONNECT
        end a: flush
        moved (node-silent) from a to b rebuilt after ${PACE_MS}
      b: PUBACK #1
        device gets PUBACK #1
      b: fin
        end b: flush
        end device: flush`,
    );
    expect(scene.counted.get('b')).toBe(0);
  });

  test('ends its side: what it said before goes to the node when it speaks, which may still answer', () => {
    goOn(
      hung(DEVICE),
      `
      device: PUBLISH #1 q1 t=1
      device: fin
      a: PINGRESP
        a gets PUBLISH #1 q1 t=1
        finish a
      a: PUBACK #1
        device gets PUBACK #1`,
    );
  });
});
