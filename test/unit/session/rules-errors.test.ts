import { describe, expect, it } from 'vitest';
import { bytesOf, linesOf, type Version } from './packet-text.ts';
import { moving, opening, play, shared } from './transcript.ts';

/** Rule 0: what the standard does not allow is the broker's to judge, so it gets the bytes as they are. */

/** The lines of a packet, which may be broken, that reaches the node unchanged. */
function passed(packet: string, version: Version): string {
  const heard = linesOf(bytesOf(packet, version), version).map((line) => `>node ${line}`);
  return [`device> ${packet}`, ...heard].join('\n');
}

const open = opening('CONNECT id=dev clean');
const v5 = opening('CONNECT id=dev clean', 'CONNACK topicAliasMaximum:10');

describe('what no device may say', () => {
  it.each([
    ['a second CONNECT [MQTT-3.1.0-2]', 'CONNECT id=dev clean'],
    ['CONNACK', 'CONNACK'],
    ['SUBACK', 'SUBACK #1 0'],
    ['UNSUBACK', 'UNSUBACK #1 0'],
    ['PINGRESP', 'PINGRESP'],
    ['packet type 0', 'RAW 00 00'],
    ['PUBACK for nothing', 'PUBACK #7'],
    ['PUBREC for nothing', 'PUBREC #7'],
    ['PUBCOMP for nothing', 'PUBCOMP #7'],
    ['PINGREQ with flags', 'RAW c1 00'],
    ['PUBACK without a packet id', 'RAW 40 01 00'],
  ])('%s goes to the node, and the session can move', (_what, packet) => {
    for (const version of [4, 5] as const) {
      const stage = play(
        version,
        `${open}
        ${passed(packet, version)}`,
      );
      expect(stage.session.immovable).toBeUndefined();
      expect(stage.session.pingUnanswered).toBe(false);
    }
  });

  it('waits for the node that will judge it', () => {
    play(
      5,
      `
      -- The device errs before CONNACK. The node gets it afterwards, and its judgement is the device's.
      device> CONNECT id=dev
      link
      >node   CONNECT id=dev
      device> CONNECT id=dev | AUTH code=24
      node>   CONNACK
      >node   CONNECT id=dev
      >node   AUTH code=24
      >device CONNACK
      event   accepted sessionPresent=false
      node>   DISCONNECT code=130
      >device DISCONNECT code=130
      event   node-ended code=130`,
    );
  });
});

describe('a packet that cannot be understood', () => {
  it.each([
    ['PUBLISH with QoS 3 [MQTT-3.3.1-4]', 'RAW 36 05 00 01 61 00 01'],
    ['PUBLISH with packet id 0 [MQTT-2.2.1-3]', 'RAW 32 05 00 01 61 00 00'],
    ['PUBLISH that ends in its topic', 'RAW 32 03 00 05 61'],
    ['PUBREL without a packet id', 'RAW 62 01 00'],
    ['SUBSCRIBE with packet id 0', 'RAW 82 06 00 00 00 01 61 00'],
    ['SUBSCRIBE without a filter [MQTT-3.8.3-2]', 'RAW 82 02 00 01'],
    ['SUBSCRIBE without options', 'RAW 82 05 00 01 00 01 61'],
    ['UNSUBSCRIBE with half a filter', 'RAW a2 05 00 01 00 02 61'],
    ['a remaining length of five bytes', 'RAW 30 80 80 80 80 01'],
  ])('goes to the node as it is: %s', (_what, packet) => {
    play(
      4,
      `${open}
      ${passed(packet, 4)}`,
    );
  });

  it('keeps the session at the node that was told, because nobody else knows what it made of it', () => {
    const stage = play(
      4,
      `${open}
      device> RAW 82 05 00 01 00 01 61
      >node   RAW 82 05 00 01 00 01 61
      node>   SUBACK #1 0 | PUBLISH a=x
      >device SUBACK #1 0
      >device PUBLISH a=x
      device> PUBLISH b=y
      >node   PUBLISH b=y`,
    );
    expect(stage.session.stays).toBe('not-understood');
    expect(stage.session.facts).toMatchObject({ subscriptions: 0, fromDevice: 0 });
  });

  it('is answered by the node itself, also where it names another node', () => {
    play(
      5,
      `${open}
      ${passed('RAW 82 02 00 01', 5)}
      node>   DISCONNECT code=156
      >device DISCONNECT code=156
      event   node-ended code=156`,
    );
  });

  it('hands on all that follows what is no packet, and waits with it for a node', () => {
    play(
      4,
      `${open}
      device> RAW 30 80 80 80 80 01 01 02 03
      >node   RAW 30 80 80 80 80 01 01 02 03
      device> RAW c0 00
      >node   PINGREQ`,
    );
    play(
      4,
      `
      device> CONNECT id=dev
      link
      >node   CONNECT id=dev
      device> PUBLISH a=x | RAW 30 80 80 80 80 01 | RAW c0 00
      node>   CONNACK
      >node   RAW 30 04 00 01 61 78 30 80 80 80 80 01 c0 00
      >device CONNACK
      event   accepted sessionPresent=false`,
    );
  });
});

describe('topic aliases', () => {
  it.each([
    ['above the maximum [MQTT-3.3.2-9]', 'PUBLISH #1 q1 topicAlias:11 a=x'],
    ['that is 0 [MQTT-3.3.2-8]', 'RAW 32 0a 00 01 61 00 01 03 23 00 00 78'],
    ['that was never given a topic', 'PUBLISH #1 q1 topicAlias:3 =x'],
  ])('one %s is for the node to judge', (_what, packet) => {
    play(
      5,
      `${v5}
      ${passed(packet, 5)}
      node>   DISCONNECT code=148
      >device DISCONNECT code=148
      event   node-ended code=148`,
    );
  });

  it('one above what the device was told is not made good at a node that promises less', () => {
    play(
      5,
      `${v5} ${moving('CONNECT id=dev clean')}
      node>   CONNACK present topicAliasMaximum:2
      ${shared}
      device> PUBLISH topicAlias:11 a=x
      >node   PUBLISH a=x topicAlias:11`,
    );
  });
});
