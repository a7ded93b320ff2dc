import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesOf } from '../session/packet-text.ts';
import { goOn, PACE_MS, served } from './session-scene.ts';

// The pace of one device: back-pressure, never a loss.

const rates = { messageRate: 4, byteRate: 0 };

test('a second’s worth may come at once; what is more is passed on, and the device is not read for so long', () => {
  const scene = served('CONNECT id=dev', { rates });
  goOn(
    scene,
    `
    device: PUBLISH t=1 | PUBLISH t=2 | PUBLISH t=3 | PUBLISH t=4
      a gets PUBLISH t=1
      a gets PUBLISH t=2
      a gets PUBLISH t=3
      a gets PUBLISH t=4
    device: PUBLISH t=5 | PUBLISH t=6
      a gets PUBLISH t=5
      a gets PUBLISH t=6
      hold device
    time: 499
    time: 1
      read device
    device: PUBLISH t=7
      a gets PUBLISH t=7
      hold device
    time: 250
      read device`,
  );
});

test('other packets are no messages, but bytes', () => {
  goOn(
    served('CONNECT id=dev', { rates: { messageRate: 1, byteRate: 4 } }),
    `
    device: PINGREQ | PINGREQ
      a gets PINGREQ
      a gets PINGREQ
    device: PINGREQ
      a gets PINGREQ
      hold device
    time: 500
      read device`,
  );
});

test('a device that is not read is not taken for silent', () => {
  const slow = { messageRate: 1, byteRate: 0 };
  const scene = served('CONNECT id=dev keepalive=10', { rates: slow });
  scene.deviceSays(Buffer.concat(Array.from({ length: 61 }, () => bytesOf('PUBLISH t=x', 4))));
  expect(scene.held).toBe(true);
  const second = (): void => {
    scene.pass(1_000);
    if (scene.deviceDone === undefined) scene.say('a', 'PINGRESP');
  };
  for (let i = 0; i < 59; i++) {
    second();
    expect([scene.held, scene.deviceDone]).toEqual([true, undefined]);
  }
  second();
  expect(scene.held).toBe(false);
  for (let i = 0; i < 20; i++) second();
  expect(scene.deviceDone).toBe('flush');
});

test('while no node serves it the device is read; the next node finds it as far ahead as it is', () => {
  const scene = served('CONNECT id=dev', { rates: { messageRate: 1, byteRate: 0 } });
  scene.deviceSays(Buffer.concat(Array.from({ length: 11 }, () => bytesOf('PUBLISH t=x', 4))));
  scene.did();
  goOn(
    scene,
    `
    a: reset
      a lost: reset
      end a: reset
      read device
    time: ${PACE_MS}
      dial b
    b: opens
      b gets CONNECT id=dev
    b: CONNACK present
      moved (link-lost) from a to b present after ${PACE_MS}
      hold device
    time: ${10_000 - PACE_MS}
      read device`,
  );
});

test('however a device sends, it is read no faster than its pace, and is read again', () => {
  const pieces = fc.array(fc.tuple(fc.nat(1_500), fc.integer({ min: 1, max: 12 })), { maxLength: 40 });
  fc.assert(
    fc.property(pieces, (sent) => {
      const scene = served('CONNECT id=dev', { rates });
      const startMs = scene.nowMs;
      let messages = 0;
      let last = 0;
      for (const [waitMs, count] of sent) {
        scene.pass(waitMs);
        if (scene.held) continue;
        expect(messages - last).toBeLessThanOrEqual(((scene.nowMs - startMs) / 1000) * 4 + 4);
        scene.deviceSays(Buffer.concat(Array.from({ length: count }, () => bytesOf('PUBLISH t=x', 4))));
        last = count;
        messages += count;
        expect(scene.held || messages - 4 <= ((scene.nowMs - startMs) / 1000) * 4 + 0.001).toBe(true);
      }
      scene.pass(4_000);
      expect(scene.held).toBe(false);
    }),
  );
});
