import { describe, expect, it } from 'vitest';
import { mergeRest } from '../../../src/session/index.ts';
import { readSubscriptions, Subscriptions } from '../../../src/session/subscriptions.ts';
import { losing, opening, play, rebuilt, type Stage } from './transcript.ts';

// A session that is older than its connection: what is remembered of it from the connection before.

const v4 = 'CONNECT id=dev';
const v5 = 'CONNECT id=dev sessionExpiryInterval:600';

function asked(verb: 'SUBSCRIBE' | 'UNSUBSCRIBE', what: string, answer: string): string {
  const ack = verb === 'SUBSCRIBE' ? 'SUBACK' : 'UNSUBACK';
  return `
    device> ${verb} #1 ${what}
    >node   ${verb} #1 ${what}
    node>   ${ack} #1${answer}
    >device ${ack} #1${answer}`;
}

/** What a connection leaves to the next one. */
function left(version: 4 | 5, script: string): Stage {
  return play(version, script);
}

function textOf(...filters: string[]): string {
  const subscriptions = new Subscriptions();
  for (const filter of filters) subscriptions.set({ filter: Buffer.from(filter), options: 1, identifier: 0 });
  return subscriptions.text;
}

describe('what is left of a persistent session', () => {
  it('is all that was granted, with options and identifiers', () => {
    const { session } = left(
      5,
      `${opening(v5)}
      ${asked('SUBSCRIBE', '$share/g/a/+:1+nl b/#:2+rap+rh1', ' 1 1')}`,
    );
    expect(session.memory.opening).toBe('begun');
    const rest = session.memory.rest;
    expect(rest?.expirySeconds).toBe(600);
    const all = [...(readSubscriptions(rest?.subscriptions ?? '') ?? [])];
    expect(all.map(({ filter, options }) => [String(Buffer.from(filter)), options & 3])).toEqual([
      ['$share/g/a/+', 1],
      ['b/#', 1],
    ]);
    expect(all[0]?.options).toBe(0x05);
    expect(all[1]?.options).toBe(0x19);
  });

  it('is nothing where the session ends with the link', () => {
    for (const [version, connect] of [
      [4, 'CONNECT id=dev clean'],
      [5, 'CONNECT id=dev clean'],
      [5, 'CONNECT id=dev'],
    ] as const) {
      const { session } = left(version, `${opening(connect)} ${asked('SUBSCRIBE', 'a:1', ' 1')}`);
      expect(session.memory.opening).toBe(undefined);
      expect(session.memory.rest).toBe(undefined);
    }
  });

  it('is nothing after DISCONNECT with Session Expiry Interval 0, and as long as another says', () => {
    for (const [seconds, expected] of [
      [0, undefined],
      [7, 7],
    ] as const) {
      const { session } = left(
        5,
        `${opening(v5)}
        device> DISCONNECT sessionExpiryInterval:${seconds}
        >node   DISCONNECT sessionExpiryInterval:${seconds}
        event   device-left forwarded=true`,
      );
      expect(session.memory.rest?.expirySeconds).toBe(expected);
    }
  });

  it('is nothing while a node owes the answer to SUBSCRIBE or UNSUBSCRIBE, which it may have carried out', () => {
    for (const packet of ['SUBSCRIBE #1 a:1', 'UNSUBSCRIBE #1 a']) {
      const { session } = left(
        4,
        `${opening(v4)}
        device> ${packet}
        >node   ${packet}`,
      );
      expect(session.memory.rest).toBe(undefined);
    }
  });

  it('is only what has changed where the session is older than the connection, and not recalled', () => {
    const { session } = left(
      4,
      `${opening(v4, 'CONNACK present')} ${asked('SUBSCRIBE', 'a:1', ' 1')} ${asked('UNSUBSCRIBE', 'b', '')}`,
    );
    expect(session.memory.opening).toBe('resumed');
    const { subscriptions = '', unsubscribed } = session.memory.rest ?? {};
    expect(subscriptions).toBe(textOf('a'));
    expect(mergeRest(textOf('b', 'c'), subscriptions, unsubscribed ?? '')).toBe(textOf('c', 'a'));
    expect(mergeRest('AAAA', subscriptions, unsubscribed ?? '')).toBe(undefined);
  });
});

describe('a session that is recalled', () => {
  it('is whole: another node has all of it', () => {
    const stage = left(
      4,
      `${opening(v4, 'CONNACK present')} ${asked('SUBSCRIBE', 'new:1', ' 1')} ${asked('UNSUBSCRIBE', 'gone', '')}`,
    );
    expect(stage.session.memory.recall(textOf('old', 'gone', 'new'))).toBe(true);
    expect(stage.session.memory.opening).toBe('begun');
    const heard = ['lost', 'link', 'node>   CONNACK', 'node>   SUBACK #1 1 1'].flatMap((line) =>
      stage.say(line),
    );
    expect(heard.filter((line) => line.startsWith('>node   SUBSCRIBE'))).toEqual([
      '>node   SUBSCRIBE #1 old:1 new:1',
    ]);
    expect(heard.at(-1)).toBe(rebuilt);
  });

  it('has what the device subscribed meanwhile as it was granted then, and not what it unsubscribed', () => {
    const { session } = left(
      5,
      `${opening(v5, 'CONNACK present')} ${asked('SUBSCRIBE', 'a:0', ' 0')}
      ${asked('SUBSCRIBE', 'b:1', ' 1')} ${asked('UNSUBSCRIBE', 'b', ' 0')} ${asked('UNSUBSCRIBE', 'c', ' 0')}`,
    );
    expect(session.memory.recall(textOf('a', 'b', 'c', 'd'))).toBe(true);
    const rest = [...(readSubscriptions(session.memory.rest?.subscriptions ?? '') ?? [])];
    expect(rest.map(({ filter, options }) => [String(Buffer.from(filter)), options])).toEqual([
      ['d', 1],
      ['a', 0],
    ]);
  });

  it('hears of an UNSUBSCRIBE that was under way', () => {
    const stage = left(
      4,
      `${opening(v4, 'CONNACK present')}
      device> UNSUBSCRIBE #1 a
      >node   UNSUBSCRIBE #1 a`,
    );
    expect(stage.session.memory.recall(textOf('a', 'b'))).toBe(true);
    stage.say('node>   UNSUBACK #1');
    expect(stage.session.memory.rest?.subscriptions).toBe(textOf('b'));
  });

  it('may have had no subscription at all', () => {
    const { session } = left(4, opening(v4, 'CONNACK present'));
    expect(session.memory.recall('')).toBe(true);
    expect(session.memory.rest?.subscriptions).toBe('');
  });

  it('stays as it was where that is rubbish, too much, or of no session that is older', () => {
    const resumed = () => left(4, opening(v4, 'CONNACK present')).session.memory;
    const good = Buffer.from(textOf('a'), 'base64');
    const bad = (change: (bytes: Buffer) => void) => {
      const bytes = Buffer.from(good);
      change(bytes);
      return bytes.toString('base64');
    };
    for (const text of [
      good.subarray(0, 5).toString('base64'),
      good.subarray(0, -1).toString('base64'),
      bad((bytes) => bytes.writeUInt8(3, 0)),
      bad((bytes) => bytes.writeUInt8(0x81, 0)),
      bad((bytes) => bytes.writeUInt8(0x31, 0)),
      bad((bytes) => bytes.writeUInt32BE(0xffffffff, 1)),
      bad((bytes) => bytes.writeUInt16BE(0, 5)),
      bad((bytes) => bytes.writeUInt8(0, 7)),
      bad((bytes) => bytes.writeUInt8(0xff, 7)),
      textOf(...Array.from({ length: 100 }, (_, i) => `filter/${i}`)), // 80 bytes each, of 4,096
    ]) {
      const memory = resumed();
      expect(memory.recall(text)).toBe(false);
      expect(memory.opening).toBe('resumed');
    }
    expect(left(4, opening(v4)).session.memory.recall(textOf('a'))).toBe(false);
  });

  it('is beyond recall once it has unsubscribed more than may be kept', () => {
    const stage = left(4, opening(v4, 'CONNACK present'));
    for (let i = 0; i < 100; i++) {
      stage.say(`device> UNSUBSCRIBE #1 a/${i}`);
      stage.say('node>   UNSUBACK #1');
    }
    expect(stage.session.memory.recall(textOf('a/0'))).toBe(false);
    expect(stage.session.memory.rest).toBe(undefined);
    expect(stage.session.stays).toBe(undefined);
  });

  it('is never what a node says that has none: Session Present 0 is a session that begins', () => {
    const stage = left(4, `${opening(v4, 'CONNACK')} ${losing(v4)}`);
    expect(stage.session.memory.recall(textOf('a'))).toBe(false);
  });
});

it('what many subscriptions are packed into is read again', () => {
  const filters = Array.from({ length: 200 }, (_, i) => `a/${i}/é`);
  const read = [...(readSubscriptions(textOf(...filters)) ?? [])];
  expect(read.map(({ filter }) => Buffer.from(filter).toString())).toEqual(filters);
});
