import { describe, expect, test } from 'vitest';
import { moves } from './scene.ts';
import { drainedAndAsked, goOn, PACE_MS, type SessionScene, served } from './session-scene.ts';

// A node that lives, and is to be left, first finishes what it was sent: no message of QoS 2 is given to two nodes (rule 4).

/** Node `a`, which serves the device, is drained, and the link to `b` is open. */
function leaving(scene: SessionScene = served()): SessionScene {
  return goOn(
    scene,
    `
    owner: move drain
      dial b
      answer moving
    b: opens
      a gets PINGREQ`,
  );
}

/** `leaving`, with these packets of the device under way to `a`. */
function under(way: string): SessionScene {
  const scene = served();
  scene.say('device', way);
  scene.did();
  return leaving(scene);
}

describe('the next node is asked when the old one has answered', () => {
  test('a message of QoS 2, which the device ends meanwhile; what it begins waits [MQTT-4.3.3-5]', () => {
    goOn(
      under('PUBLISH #1 q2 t=x'),
      `
      -- b is asked behind PUBCOMP: by then nothing is left that two nodes could have.
      device: PUBLISH #2 q2 t=y
      a: PINGRESP
      a: PUBREC #1
        device gets PUBREC #1
      device: PUBREL #1
        a gets PUBREL #1
      a: PUBCOMP #1
        device gets PUBCOMP #1
        b gets CONNECT id=dev
      b: CONNACK present
        b gets PUBLISH #2 q2 t=y
        a gets DISCONNECT
        end a: flush
        moved (drain) from a to b present after 0`,
    );
  });

  test.each([
    ['PUBLISH #1 q1 t=x', 'PUBACK #1'],
    ['SUBSCRIBE #1 t:1', 'SUBACK #1 1'],
    ['UNSUBSCRIBE #1 t', 'UNSUBACK #1 0'],
  ])('%s', (sent, answer) => {
    goOn(
      under(sent),
      `
      a: PINGRESP
      a: ${answer}
        device gets ${answer.replace(/(UNSUBACK #1) 0/, '$1')}
        b gets CONNECT id=dev`,
    );
  });

  test('and has taken what it does not answer: PINGRESP comes last', () => {
    goOn(
      under('PUBLISH t=x'),
      `
      a: PUBLISH #7 q1 u=y
        device gets PUBLISH #7 q1 u=y
      device: PUBACK #7 | PINGREQ
        a gets PUBACK #7
        device gets PINGRESP
      a: PINGRESP
        b gets CONNECT id=dev`,
    );
  });

  test('each ping: those of the device too', () => {
    goOn(
      under('PINGREQ'),
      `
      a: PINGRESP
        device gets PINGRESP
      a: PINGRESP
        b gets CONNECT id=dev`,
    );
  });
});

test('a node that does not answer is left when it has had its time, and what it owes is asked of the next', () => {
  goOn(
    under('PUBLISH #1 q2 t=x'),
    `
    a: PINGRESP
    time: ${moves.silenceTimeoutMs - 1}
    time: 1
      b gets CONNECT id=dev
    a: PUBREC #1
    b: CONNACK present
      b gets PUBLISH #1 q2 dup t=x
      a gets DISCONNECT
      end a: flush
      moved (drain) from a to b present after ${moves.silenceTimeoutMs}`,
  );
});

test('a message that waits for room at the old node goes to the next one [MQTT-3.3.4-7]', () => {
  goOn(
    leaving(served('CONNECT id=dev', { version: 5 })),
    `
    a: PINGRESP
      b gets CONNECT id=dev
    b: CONNACK present receiveMaximum:1
      a gets DISCONNECT
      end a: flush
      moved (drain) from a to b present after 0
    device: PUBLISH #1 q1 t=x | PUBLISH #2 q1 t=y
      b gets PUBLISH #1 q1 t=x
    owner: move drain
      dial a
      answer moving
    a: opens
      b gets PINGREQ
    b: PUBACK #1 | PINGRESP
      device gets PUBACK #1
      a gets CONNECT id=dev
    a: CONNACK present
      a gets PUBLISH #2 q1 t=y
      b gets DISCONNECT
      end b: flush
      moved (drain) from b to a present after 0`,
  );
});

describe('the old node goes on serving, and gets what has waited', () => {
  test('when the next one ends its link, and no other takes it', () => {
    const scene = served();
    scene.nodes = ['a', 'b'];
    leaving(scene);
    goOn(
      scene,
      `
      device: PUBLISH t=x
      b: reset
        end b: reset
        b failed: closed-before-connack
        moved (drain) from a to nowhere after 0
        a gets PUBLISH t=x`,
    );
  });

  test('while one more is dialled', () => {
    goOn(
      leaving(),
      `
      device: PUBLISH t=x
      b: reset
        end b: reset
        b failed: closed-before-connack
        a gets PUBLISH t=x
        dial c
      device: PUBLISH t=y
        a gets PUBLISH t=y
      c: opens
        a gets PINGREQ`,
    );
  });

  test('when a newer connection has the session (rule 14)', () => {
    goOn(
      leaving(),
      `
      device: PUBLISH t=x
      owner: supersede same
        end b: reset
        moved (drain) from a to nowhere after 0
        a gets PUBLISH t=x`,
    );
  });

  test('to its last packet, when the device vanishes', () => {
    goOn(
      leaving(),
      `
      device: PUBLISH t=x
      device: reset
        a gets PUBLISH t=x
        end a: reset
        end b: reset
        end device: reset`,
    );
  });
});

test('an old node that ends its link meanwhile is lost as ever', () => {
  goOn(
    leaving(),
    `
    device: PUBLISH t=x
    a: reset
      a lost: reset
      end b: reset
      end a: reset
    time: 60
      dial b`,
  );
});

test('a device that says goodbye meanwhile says it to the next node', () => {
  goOn(
    leaving(),
    `
    device: DISCONNECT
    a: PINGRESP
      b gets CONNECT id=dev
    b: CONNACK present
      b gets DISCONNECT
      a gets DISCONNECT
      end a: flush
      moved (drain) from a to b present after 0`,
  );
});

test('a device with a Will, whose node is told goodbye first: behind its last answer', () => {
  const scene = served('CONNECT id=dev will=gone', { takeoverFiresWill: true });
  scene.say('device', 'PUBLISH #1 q2 t=x');
  scene.did();
  goOn(
    scene,
    `
    owner: move drain
      a gets PINGREQ
      answer moving
    a: PINGRESP
    a: PUBREC #1
      device gets PUBREC #1
    device: PUBREL #1
      a gets PUBREL #1
    a: PUBCOMP #1
      device gets PUBCOMP #1
      a gets DISCONNECT
    a: fin
      end a: reset
      dial b`,
  );
});

test('a hundred sessions at a node that answers late: each leaves at its own answer', () => {
  const scenes = Array.from({ length: 100 }, () => under('PUBLISH #1 q2 t=x'));
  for (const scene of scenes) scene.say('a', 'PINGRESP');
  const left = scenes.map((scene) => {
    scene.say('a', 'PUBREC #1');
    scene.say('device', 'PUBREL #1');
    const before = scene.did();
    scene.say('a', 'PUBCOMP #1');
    return [before.some((line) => line.startsWith('b gets')), scene.did().at(-1)];
  });
  expect(left).toEqual(scenes.map(() => [false, 'b gets CONNECT id=dev']));
});

test('the next node may be busy only, and would act on the CONNECT later: it is left behind two probes in a row', () => {
  goOn(
    drainedAndAsked('CONNECT id=dev', { evidence: 'ask' }),
    `
    time: 2500
      is b gone?
    owner: verdict no-answer
    time: 2500
      is b gone?
    owner: verdict no-answer
      b gets DISCONNECT
      end b: flush
      b failed: connack-timeout
    time: ${PACE_MS}
      dial c`,
  );
});

test('how long another node is sought begins when the old one, which lives, is left', () => {
  const scene = served('CONNECT id=dev', { evidence: 'ask' });
  scene.nodes = ['a', 'b'];
  goOn(
    leaving(scene),
    `
    time: ${moves.silenceTimeoutMs}
      b gets CONNECT id=dev`,
  );
  scene.nodes = [];
  scene.say('b', 'reset');
  scene.pass(moves.reattachDeadlineMs - 3_000);
  expect(scene.deviceDone).toBeUndefined();
  scene.pass(3_000);
  expect(scene.deviceDone).toBe('flush');
});
