import { describe, expect, test } from 'vitest';
import { moving, opening, play, type Stage } from './transcript.ts';

// A packet that a node may have died of is sent to one more, and to no third (rule 4).

const dev = 'CONNECT id=dev';
const open = opening(dev);
const move = moving(dev);

/** The node dies, and the next one has been asked for the session. */
function dies(stage: Stage, isSudden = true) {
  const suspect = stage.session.suspects.nodeDied(isSudden);
  stage.say('lost');
  stage.say('link');
  return suspect;
}

const inFlight = `${open}
  device> PUBLISH #1 q1 a=1 | SUBSCRIBE #2 b:0 | PUBLISH #3 q2 a=3 | PUBLISH #4 q2 a=4
  >node   PUBLISH #1 q1 a=1
  >node   SUBSCRIBE #2 b:0
  >node   PUBLISH #3 q2 a=3
  >node   PUBLISH #4 q2 a=4
  node>   PUBREC #4
  >device PUBREC #4`;

test('what was under way to a node that died is sent again when it is its turn, and then what came since', () => {
  const stage = play(4, inFlight);
  expect(dies(stage)).toBe(undefined);
  expect(stage.say('device> PUBLISH c=5 | PINGREQ').slice(1)).toEqual(['>device PINGRESP']);
  expect(stage.say('node> CONNACK present').slice(1)).toEqual(['event   suspected']);
  expect(stage.say('device> PUBLISH c=6').slice(1)).toEqual([]);
  stage.session.suspects.tryAgain();
  expect(stage.say('device> PUBLISH c=7').slice(1)).toEqual([
    '>node   PUBLISH #1 q1 dup a=1',
    '>node   SUBSCRIBE #2 b:0',
    '>node   PUBLISH #3 q2 dup a=3',
    '>node   PUBLISH c=5',
    '>node   PUBLISH c=6',
    '>node   PUBLISH c=7',
    'event   resumed sessionPresent=true leftBehind=false',
  ]);
});

test('it is acquitted when all of it is answered, whatever the answer', () => {
  const stage = play(4, inFlight);
  dies(stage);
  stage.say('node> CONNACK present');
  stage.session.suspects.tryAgain();
  stage.say('node> SUBACK #2 0');
  expect(stage.say('node> PUBACK #1').slice(1)).toEqual(['>device PUBACK #1']);
  expect(stage.say('node> PUBREC #3').slice(1)).toEqual(['>device PUBREC #3', 'event   acquitted']);
  expect(dies(stage)).toBe(undefined);
});

test('rebuilt subscriptions come first, because they were answered before', () => {
  const stage = play(
    4,
    `${open}
    device> SUBSCRIBE #1 a:1 | PUBLISH #2 q1 a=1
    >node   SUBSCRIBE #1 a:1
    >node   PUBLISH #2 q1 a=1
    node>   SUBACK #1 1
    >device SUBACK #1 1`,
  );
  dies(stage);
  expect(stage.say('node> CONNACK').slice(1)).toEqual(['>node   SUBSCRIBE #1 a:1']);
  stage.session.suspects.tryAgain(); // too early
  expect(stage.say('node> SUBACK #1 1').slice(1)).toEqual(['event   suspected']);
});

describe('a packet that is unanswered when the second node dies', () => {
  test.each([
    ['PUBLISH #1 q1 secret/a=payload', { packet: 'PUBLISH', qos: 1, bytes: 21, topic: 'secret/a' }],
    ['PUBLISH #1 q2 a=x', { packet: 'PUBLISH', qos: 2, bytes: 8, topic: 'a' }],
    ['SUBSCRIBE #1 a/#:1', { packet: 'SUBSCRIBE', qos: 0, topic: 'a/#' }],
    ['UNSUBSCRIBE #1 a/b', { packet: 'UNSUBSCRIBE', qos: 0, topic: 'a/b' }],
  ])('is named, without its payload: %s', (packet, named) => {
    for (const version of [4, 5] as const) {
      const stage = play(version, open);
      stage.say(`device> ${packet}`);
      expect(dies(stage)).toBe(undefined);
      stage.say('node> CONNACK present');
      stage.session.suspects.tryAgain();
      const suspect = dies(stage);
      expect(suspect).toMatchObject(version === 4 ? named : { ...named, bytes: expect.any(Number) });
      expect(JSON.stringify(suspect)).not.toContain('payload');
    }
  });

  test('is not convicted where that node lived on for a while', () => {
    const stage = play(4, open);
    stage.say('device> PUBLISH #1 q1 a=1');
    dies(stage);
    stage.say('node> CONNACK present');
    stage.session.suspects.tryAgain();
    expect(dies(stage, false)).toBe(undefined);
    expect(stage.say('node> CONNACK present').slice(1)).toEqual(['event   suspected']);
  });

  test('is not one that was sent to the second node alone', () => {
    const stage = play(4, open);
    stage.say('device> PUBLISH #1 q1 a=1');
    dies(stage);
    stage.say('node> CONNACK present');
    stage.session.suspects.tryAgain();
    stage.say('device> PUBLISH #2 q1 b=2');
    stage.say('node> PUBACK #1');
    expect(dies(stage)).toBe(undefined);
    stage.say('node> CONNACK present');
    stage.session.suspects.tryAgain();
    expect(dies(stage)).toMatchObject({ topic: 'b' });
  });
});

test('a link that is lost for another reason makes nothing suspect', () => {
  play(
    4,
    `${open}
    device> PUBLISH #1 q1 a=1
    >node   PUBLISH #1 q1 a=1
    ${move}
    node>   CONNACK present
    >node   PUBLISH #1 q1 dup a=1
    event   resumed sessionPresent=true leftBehind=false`,
  );
});
