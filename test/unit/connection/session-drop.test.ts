import { expect, test } from 'vitest';
import { goOn, PACE_MS, SessionScene } from './session-scene.ts';

// A session that the node has begun for our CONNECT, and that lacks what the device's own had, is not what the device finds
// when it comes back: it is gone before the device is let go.

const PERSISTENT = 'CONNECT id=dev will=gone sessionExpiryInterval:60';

/** Its session is older than its connection; node `a` is killed, and `b` does not know it. */
function unknownAtB(version: 4 | 5): SessionScene {
  const connect = version === 5 ? PERSISTENT : 'CONNECT id=dev will=gone';
  const scene = new SessionScene({ version });
  scene.say('device', connect);
  scene.say('a', 'opens');
  scene.say('a', 'CONNACK present');
  scene.say('a', 'reset');
  scene.pass(PACE_MS);
  scene.say('b', 'opens');
  scene.did();
  return scene;
}

const left5 = `
  b: CONNACK
    b gets DISCONNECT sessionExpiryInterval:0
    finish b`;

const asked4 = `
  b: CONNACK
    b gets DISCONNECT
    end b: flush
    dial b`;

const purged4 = `${asked4}
  b: opens
    b gets CONNECT id=dev clean
  b: CONNACK
    b gets DISCONNECT
    finish b`;

test('MQTT 5: by a DISCONNECT with Session Expiry Interval 0, and the device is told when the node has done it', () => {
  goOn(
    unknownAtB(5),
    `
    -- b has begun the session anew. It is dropped there, and only then the device hears that its session is lost.
    ${left5}
    b: PUBLISH t=late
    device: PUBLISH t=x
    b: fin
      end b: flush
      device gets DISCONNECT code=139
      end device: flush
    wire: closed
      ended: session-lost`,
  );
});

test('3.1.1: by a clean session on a link of its own, without the Will, and only then the device is closed', () => {
  goOn(
    unknownAtB(4),
    `${purged4}
    b: fin
      end b: flush
      end device: flush
    wire: closed
      ended: session-lost`,
  );
});

test('3.1.1: a dial that fails holds nobody up', () => {
  goOn(
    unknownAtB(4),
    `${asked4}
    b: refuses
      end device: flush
    wire: closed
      ended: session-lost`,
  );
});

test.each([
  [5, left5, 'end b: flush', 'device gets DISCONNECT code=139'],
  [4, asked4, 'end b: reset', '--'],
  [4, purged4, 'end b: flush', '--'],
] as const)('a node that does not answer holds the device up for a second (version %i)', (version, before, ended, told) => {
  goOn(
    unknownAtB(version),
    `${before}
    time: 999
    time: 1
      ${ended}
      ${told}
      end device: flush
    wire: closed
      ended: session-lost`,
  );
});

test.each([
  ['device: reset', 'reset'],
  ['owner: supersede same', 'flush'],
  ['owner: end shutdown', 'flush'],
] as const)('%s: nothing is said in its name any more', (what, how) => {
  goOn(
    unknownAtB(4),
    `
    -- 3.1.1: b is asked on a link of its own to drop it, and then something goes wrong: nobody tries again.
    ${asked4}
    b: opens
      b gets CONNECT id=dev clean
    ${what}
      end b: reset
      end device: ${how}
    time: 60000
      ${how === 'flush' ? 'end device: reset' : '--'}
    wire: closed
      ended: session-lost`,
  );
});

test('so is one that was rebuilt in part, when the node grants less than before', () => {
  const scene = new SessionScene({ version: 5 });
  for (const [who, what] of [
    ['device', PERSISTENT],
    ['a', 'opens'],
    ['a', 'CONNACK'],
    ['device', 'SUBSCRIBE #1 t:1'],
    ['a', 'SUBACK #1 1'],
    ['a', 'reset'],
  ] as const)
    scene.say(who, what);
  scene.pass(PACE_MS);
  scene.say('b', 'opens');
  scene.did();
  goOn(
    scene,
    `
    -- The replayed subscription is refused. The session that b has begun is dropped, then the device is told why.
    b: CONNACK
      b gets SUBSCRIBE #1 t:1+rh2
    b: SUBACK #1 135
      b gets DISCONNECT sessionExpiryInterval:0
      finish b
    b: fin
      end b: flush
      device gets DISCONNECT code=135
      end device: flush
    wire: closed
      ended: granted-less`,
  );
});

test('on a planned move: the node that is left keeps the session, and fires no Will', () => {
  const scene = new SessionScene({ version: 5 });
  scene.say('device', PERSISTENT);
  scene.say('a', 'opens');
  scene.say('a', 'CONNACK present');
  scene.did();
  goOn(
    scene,
    `
    -- a drains, and b does not know the session. a gets a goodbye that keeps it; b drops what it has begun.
    owner: move drain
      dial b
      answer moving
    b: opens
      a gets PINGREQ
    a: PINGRESP
      b gets CONNECT id=dev will=gone sessionExpiryInterval:60
    b: CONNACK
      a gets DISCONNECT
      end a: flush
      b gets DISCONNECT sessionExpiryInterval:0
      finish b
    b: fin
      end b: flush
      device gets DISCONNECT code=139
      end device: flush
    wire: closed
      ended: session-lost`,
  );
});

test('every node is given back once', () => {
  const scene = unknownAtB(4);
  goOn(scene, `${purged4}\n b: fin\n end b: flush\n end device: flush\n wire: closed\n ended: session-lost`);
  expect([...scene.counted.values()]).toEqual([0, 0]);
});
