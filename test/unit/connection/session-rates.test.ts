import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOf } from '../session/packet-text.ts';
import { goOn, PACE_MS, type SessionScene, served } from './session-scene.ts';

// The pace of one device: what is too fast waits, and then back-pressure; never a loss.

const rates = { messageRate: 4, byteRate: 0 };

function messages(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytesOf('PUBLISH t=x', 4)));
}

/** A second goes by, in which the loop turns as often as it is asked to, and the node answers. What happened. */
function second(scene: SessionScene): string[] {
  scene.pass(1_000);
  scene.turns();
  const did = scene.did();
  if (did.includes('a gets PINGREQ')) scene.say('a', 'PINGRESP');
  return did;
}

test('a second’s worth may come at once; what one read brings is passed on, and what comes then goes at its pace', () => {
  goOn(
    served('CONNECT id=dev', { rates }),
    `
    -- Two messages a second. Two reads pass whole; what comes then goes one by one, as time passes.
    device: PUBLISH t=1 | PUBLISH t=2 | PUBLISH t=3 | PUBLISH t=4
      a gets PUBLISH t=1
      a gets PUBLISH t=2
      a gets PUBLISH t=3
      a gets PUBLISH t=4
    device: PUBLISH t=5 | PUBLISH t=6
      a gets PUBLISH t=5
      a gets PUBLISH t=6
    device: PUBLISH t=7
    time: 499
    loop: turns
    time: 1
      hold device
    loop: turns
      a gets PUBLISH t=7
      read device
    device: PUBLISH t=8
    time: 250
      hold device
    loop: turns
      a gets PUBLISH t=8
      read device`,
  );
});

test('its PINGREQ is answered meanwhile, and what is no PINGREQ is for the node to judge', () => {
  goOn(
    served('CONNECT id=dev', { rates: { messageRate: 1, byteRate: 0 } }),
    `
    -- The device is ahead of its pace, and pings: it is answered here, the rest waits for its time.
    device: PUBLISH t=1 | PUBLISH t=2
      a gets PUBLISH t=1
      a gets PUBLISH t=2
    device: PUBLISH t=3 | PINGREQ | RAW c1 00
      device gets PINGRESP
    time: 1000
      hold device
    loop: turns
      a gets PUBLISH t=3
      read device
    time: 1000
      hold device
    loop: turns
      a gets 2 bytes
      read device`,
  );
});

test('other packets are no messages, but bytes', () => {
  goOn(
    served('CONNECT id=dev', { rates: { messageRate: 1, byteRate: 4 } }),
    `
    -- Pings and subscriptions are no messages, yet their bytes count.
    device: PINGREQ | PINGREQ
      a gets PINGREQ
      a gets PINGREQ
    device: SUBSCRIBE #1 t:0
      a gets SUBSCRIBE #1 t:0
    device: UNSUBSCRIBE #2 t
    time: 1999
    loop: turns
    time: 1
      hold device
    loop: turns
      a gets UNSUBSCRIBE #2 t
      read device`,
  );
});

test('beyond what may wait it is not read, and is not taken for silent', () => {
  const scene = served('CONNECT id=dev keepalive=10', {
    rates: { messageRate: 1, byteRate: 0 },
    maxOfflineBytes: 64,
  });
  scene.deviceSays(messages(2));
  scene.deviceSays(messages(20));
  expect(scene.held).toBe(true);
  const heard = scene.did();
  for (let i = 0; i < 20; i++) {
    if (scene.held) expect(scene.forwarder?.isOverdue).toBe(false);
    heard.push(...second(scene));
  }
  expect(heard.filter((line) => line === 'a gets PUBLISH t=x')).toHaveLength(2 + 20);
  expect(scene.held).toBe(false);
  for (let i = 0; i < 20; i++) second(scene);
  expect(scene.forwarder?.isOverdue).toBe(true);
});

test('its node’s keep-alive does not run out while it is held back', () => {
  const scene = served('CONNECT id=dev keepalive=4', { rates: { messageRate: 0, byteRate: 1 } });
  scene.deviceSays(messages(20));
  scene.did();
  const heard: string[] = [];
  for (let i = 0; i < 20; i++) {
    scene.deviceSays(bytesOf('PINGREQ', 4));
    heard.push(...second(scene));
  }
  expect(heard.filter((line) => line === 'device gets PINGRESP')).toHaveLength(20);
  expect(heard.filter((line) => line === 'a gets PINGREQ').length).toBeGreaterThan(5);
});

test('what it says in a gap waits for a node; the next one finds it as far ahead as it is', () => {
  const scene = served('CONNECT id=dev', { rates: { messageRate: 1, byteRate: 0 } });
  scene.deviceSays(messages(11));
  scene.did();
  goOn(
    scene,
    `
    -- a is lost while the device is ahead of its pace. b has the session at once, and the message waits for its time.
    a: reset
      a lost: reset
      end a: reset
    device: PUBLISH t=gap
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev
    b: CONNACK present
      moved (link-lost) from a to b present after ${PACE_MS}
    time: ${10_000 - PACE_MS - 1}
    loop: turns
    time: 1
      hold device
    loop: turns
      b gets PUBLISH t=gap
      read device`,
  );
});

test('one that has said its last is heard to the end, at its pace', () => {
  const scene = served('CONNECT id=dev keepalive=1', { rates: { messageRate: 1, byteRate: 0 } });
  scene.deviceSays(messages(5));
  scene.did();
  scene.deviceSays(Buffer.concat([messages(1), bytesOf('DISCONNECT', 4)]));
  scene.say('device', 'fin');
  const heard = [1, 2, 3, 4, 5]
    .flatMap(() => second(scene))
    .filter((line) => /PUBLISH|DISCONNECT|finish|end/.test(line));
  expect(heard).toEqual(['a gets PUBLISH t=x', 'a gets DISCONNECT', 'finish a']);
});

test('however a device sends, its node gets it no faster than its pace, and gets all of it', () => {
  const pieces = fc.array(fc.tuple(fc.nat(1_500), fc.integer({ min: 1, max: 12 })), { maxLength: 40 });
  fc.assert(
    fc.property(pieces, (sent) => {
      const scene = served('CONNECT id=dev', { rates, maxOfflineBytes: 1_000_000 });
      const startMs = scene.nowMs;
      let said = 0;
      let got = 0;
      const look = (did: readonly string[]) => {
        got += did.filter((line) => line === 'a gets PUBLISH t=x').length;
        // One read, and a second's worth twice over, may come at once.
        expect(got - 12 - 8).toBeLessThanOrEqual(((scene.nowMs - startMs) / 1000) * 4);
      };
      for (const [waitMs, count] of sent) {
        scene.pass(waitMs);
        scene.turns();
        scene.deviceSays(messages(count));
        said += count;
        look(scene.did());
      }
      for (let i = 0; i < 130; i++) look(second(scene));
      expect(got).toBe(said);
    }),
    { numRuns: 50 },
  );
});

test('a device that has ended its side while it waits is heard to the end by the node after one that is lost', () => {
  goOn(
    served('CONNECT id=dev', { rates: { messageRate: 1, byteRate: 0 } }),
    `
    -- What the device said last waits for its pace, and then for another node. That one hears it, and then the end.
    device: PUBLISH q1 #1 t=1 | PUBLISH q1 #2 t=2
      a gets PUBLISH #1 q1 t=1
      a gets PUBLISH #2 q1 t=2
    device: PUBLISH q1 #3 t=3
    device: fin
    a: reset
      a lost: reset
      end a: reset
    loop: turns
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev
    b: CONNACK present
      b gets PUBLISH #1 q1 dup t=1
      b gets PUBLISH #2 q1 dup t=2
      moved (link-lost) from a to b present after ${PACE_MS}
    time: 5000
      hold device
    loop: turns
      b gets PUBLISH #3 q1 t=3
      read device
      finish b`,
  );
});

test('without rates nothing is counted that nobody asks for, since it would grow for ever', () => {
  const scene = served();
  scene.say('device', 'PUBLISH t=x | PUBLISH q1 #1 t=x');
  const state = scene.connection.describe()?.state;
  expect(state).toMatchObject({ forwarder: { session: { state: { billedMessages: 0, billedBytes: 0 } } } });
});
