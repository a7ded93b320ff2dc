import { describe, expect, it } from 'vitest';
import { bytesOf, linesOf, packetsIn, textOf } from './packet-text.ts';
import { losing, moving, opening, play, rebuilt, Stage, shared } from './transcript.ts';

const v4 = 'CONNECT id=dev clean keepalive=60 user=me password=secret will=gone';
const v5 = 'CONNECT id=dev clean will=gone sessionExpiryInterval:30 receiveMaximum:9';

describe('rules 1 and 2: asking for the session', () => {
  it('asks with Clean Start 0 and everything else as the device said it [MQTT-3.1.2-4]', () => {
    play(
      4,
      `${opening(v4)} ${moving(v4)}
      node>   CONNACK present
      ${shared}`,
    );
    play(
      5,
      `${opening(v5)} ${moving(v5)}
      node>   CONNACK present
      ${shared}`,
    );
  });

  it('shows the device one CONNACK only, and rebuilds where Session Present is 0 [MQTT-3.2.2-3]', () => {
    play(
      4,
      `
      -- A clean 3.1.1 session moves. The second CONNACK is for us; the new node is told the subscription.
      ${opening(v4)}
      device> SUBSCRIBE #1 a:1
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${moving(v4)}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      ${rebuilt}
      device> PUBLISH b=on
      >node   PUBLISH b=on`,
    );
  });

  it('asks for a new session where the old one ended with its link, and has what the node kept of another', () => {
    for (const [version, connect] of [
      [4, 'CONNECT id=dev clean'],
      [5, 'CONNECT id=dev clean'],
      [5, 'CONNECT id=dev clean sessionExpiryInterval:30'],
    ] as const) {
      const ends = version === 4 || !connect.includes('Expiry');
      const connack = ends ? 'CONNACK' : 'CONNACK sessionExpiryInterval:0';
      const stage = play(
        version,
        `
      -- The node died, and a clean session with it. The next node is asked for a new one and keeps an old copy: it is not trusted.
      ${opening(connect, connack)}
      device> SUBSCRIBE #1 a:1
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${losing(connect)}
      node>   CONNACK present
      >node   SUBSCRIBE #1 a:1${version === 5 ? '+rh2' : ''}
      node>   SUBACK #1 1
      ${rebuilt}`,
      );
      expect(stage.session.mustPurge).toBe(false);
    }
  });

  it('does not discard what a device without Clean Start may have meant, but does not take it for its session', () => {
    play(
      5,
      `
      -- The same without Clean Start: an old session at the next node may be the device's, so it is not discarded, and renewed.
      ${opening('CONNECT id=dev')}
      device> SUBSCRIBE #1 a:1
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${losing('CONNECT id=dev')}
      node>   CONNACK present
      >node   SUBSCRIBE #1 a:1+rh2
      node>   SUBACK #1 1
      >node   PINGREQ
      ${shared}`,
    );
  });

  it('takes over a session that ends with its link while the node before still has it', () => {
    play(
      5,
      `${opening('CONNECT id=dev clean')} ${moving('CONNECT id=dev clean')}
      node>   CONNACK present
      ${shared}`,
    );
  });

  it('never discards one that outlives its link [MQTT-3.1.2-4]', () => {
    for (const [version, connect] of [
      [4, 'CONNECT id=dev'],
      [5, 'CONNECT id=dev clean sessionExpiryInterval:30'],
    ] as const) {
      play(
        version,
        `${opening(connect)} ${losing(connect.replace(' clean', ''))}
      node>   CONNACK present
      ${shared}`,
      );
    }
  });

  it('repeats the device’s own CONNECT until a first node has accepted it', () => {
    play(
      4,
      `
      -- The first node is busy. The next one gets the very same CONNECT.
      device> CONNECT id=dev clean
      link
      >node   CONNECT id=dev clean
      node>   CONNACK code=3
      event   refused code=3
      link
      >node   CONNECT id=dev clean
      node>   CONNACK
      >device CONNACK
      event   accepted sessionPresent=false`,
    );
  });

  it('lets the owner ask a next node when one refuses the re-attach', () => {
    const stage = play(
      5,
      `${opening(v5)} ${moving(v5)}
      node>   CONNACK code=156 serverReference:other
      event   refused code=156 serverReference=other
      link
      >node   CONNECT id=dev will=gone sessionExpiryInterval:30 receiveMaximum:9
      node>   CONNACK present
      ${shared}`,
    );
    expect(stage.session.facts.reattachments).toBe(1);
  });

  it('holds back what the device pipelines before CONNACK, and lets AUTH through [MQTT-3.1.4-5] [MQTT-4.12.0-2]', () => {
    play(
      5,
      `
      -- The login takes two steps. What the device sends meanwhile waits; AUTH does not.
      device> CONNECT id=dev authenticationMethod:SCRAM
      link
      >node   CONNECT id=dev authenticationMethod:SCRAM
      device> PUBLISH a=early
      node>   AUTH code=24 authenticationMethod:SCRAM
      >device AUTH code=24 authenticationMethod:SCRAM
      device> AUTH code=24 authenticationMethod:SCRAM
      >node   AUTH code=24 authenticationMethod:SCRAM
      node>   CONNACK
      >node   PUBLISH a=early
      >device CONNACK
      event   accepted sessionPresent=false`,
    );
  });

  it('has a clean 3.1.1 session ended at the node once it was asked for with clean session 0 [MQTT-3.1.2-6]', () => {
    const stage = play(
      4,
      `${opening(v4)} ${moving(v4)}
      node>   CONNACK present
      ${shared}
      device> DISCONNECT
      >node   DISCONNECT
      event   device-left forwarded=true`,
    );
    expect(stage.session.mustPurge).toBe(true);
    const purge = packetsIn(stage.session.purgeConnect(), 4).map(textOf);
    expect(purge).toEqual(['CONNECT id=dev clean keepalive=60 user=me password=secret']);
    expect(packetsIn(stage.session.goodbye(true), 4).map(textOf)).toEqual(['DISCONNECT']);
  });

  it('says which node keeps an old copy of a clean session', () => {
    play(
      4,
      `${opening(v4)} ${moving(v4)}
      node>   CONNACK
      ${rebuilt}
      ${moving(v4)}
      node>   CONNACK
      event   resumed sessionPresent=false leftBehind=true`,
    );
  });

  it('needs no purge for a persistent 3.1.1 session, nor for MQTT 5, which has its expiry', () => {
    for (const [version, connect] of [
      [4, 'CONNECT id=dev'],
      [5, 'CONNECT id=dev clean'],
    ] as const) {
      const stage = play(
        version,
        `${opening(connect)} ${moving(connect)}
      node>   CONNACK present
      ${shared}`,
      );
      expect(stage.session.mustPurge).toBe(false);
    }
  });

  it('disconnects a device whose session is older than the connection and now gone, since nobody knows it (rule 3)', () => {
    play(
      5,
      `${opening('CONNECT id=dev', 'CONNACK present')} ${moving('CONNECT id=dev')}
      node>   CONNACK
      event   end code=139 why=session-lost drops=true
      node>   PUBLISH t=x
      end     139
      >device DISCONNECT code=139
      event   end code=139 why=asked`,
    );
    play(
      4,
      `${opening('CONNECT id=dev', 'CONNACK present')} ${moving('CONNECT id=dev')}
      node>   CONNACK
      event   end code=139 why=session-lost drops=true`,
    );
  });

  it('has every persistent session dropped that a node has begun and that is not whole (rule 2)', () => {
    const connect = 'CONNECT id=dev sessionExpiryInterval:60';
    const subscribed = `${opening(connect)}
      device> SUBSCRIBE #1 a/+:1
      >node   SUBSCRIBE #1 a/+:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${moving(connect)}`;
    play(
      5,
      `${subscribed}
      node>   CONNACK
      >node   SUBSCRIBE #1 a/+:1+rh2
      node>   SUBACK #1 135
      event   end code=135 why=granted-less drops=true`,
    );
    play(
      5,
      `${subscribed}
      node>   CONNACK wildcardSubscriptionAvailable:false
      event   end code=162 why=promised-less drops=true`,
    );
  });

  it('replays to every node once one has not had the session: a rebuild was cut short, or a copy is old', () => {
    play(
      4,
      `
      -- The second node had to begin anew and is left in the middle. The third says Session Present: what it has may be half.
      ${opening(v4)}
      device> SUBSCRIBE #1 a:1
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${moving(v4)}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1
      ${moving(v4)}
      node>   CONNACK present
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >node   PINGREQ
      ${shared}`,
    );
  });

  it('does not trust Session Present after a node was asked and not heard: the asking may have made it', () => {
    play(
      4,
      `
      -- A node was asked and not heard. The one after it says Session Present, which our own asking may have made.
      ${opening(v4)}
      node>   PUBLISH #1 q1 a=1 | PUBLISH #2 q2 a=2
      >device PUBLISH #1 q1 a=1
      >device PUBLISH #2 q2 a=2
      ${moving(v4)}
      ${moving(v4)}
      device> PUBREC #2
      node>   CONNACK present
      >node   PINGREQ
      ${shared}
      node>   PUBLISH #1 q1 dup a=1 | PINGRESP
      >device PUBREL #2
      device> PUBACK #1 | PUBCOMP #2
      >node   PUBACK #1`,
    );
  });
});

describe('rule 13: the Will', () => {
  const stageOf = (version: 4 | 5, connect: string, takeoverFiresWill = true) =>
    new Stage(version, connect, { takeoverFiresWill }).session;

  it('leaves a live node first where a takeover would fire the Will [MQTT-3.1.2-8] [MQTT-3.14.4-3]', () => {
    expect(stageOf(4, 'CONNECT id=dev will=gone').leavesFirst).toBe(true);
    expect(stageOf(5, 'CONNECT id=dev will=gone').leavesFirst).toBe(true);
  });

  it('relies on Will Delay, on a broker that keeps the Will, or on there being none [MQTT-3.1.3-9]', () => {
    const delayed = 'CONNECT id=dev will=gone willDelayInterval:5';
    expect(stageOf(5, `${delayed} sessionExpiryInterval:60`).leavesFirst).toBe(false);
    // A session without expiry ends on the takeover, and its Will Delay with it (3.1.4, 3.1.3.2.2).
    expect(stageOf(5, delayed).leavesFirst).toBe(true);
    expect(stageOf(4, 'CONNECT id=dev will=gone', false).leavesFirst).toBe(false);
    expect(stageOf(4, 'CONNECT id=dev').leavesFirst).toBe(false);
  });

  it('ends the session with the goodbye where another node has it [MQTT-3.14.2-2]', () => {
    const { session } = new Stage(5, v5);
    expect(packetsIn(session.goodbye(true), 5).map(textOf)).toEqual(['DISCONNECT sessionExpiryInterval:0']);
    expect(packetsIn(session.goodbye(false), 5).map(textOf)).toEqual(['DISCONNECT']);
  });

  it('passes on a DISCONNECT that asks for the Will, untouched', () => {
    play(
      5,
      `${opening(v5)}
      device> DISCONNECT code=4
      >node   DISCONNECT code=4
      event   device-left forwarded=true`,
    );
  });
});

describe('rule 14: takeover', () => {
  it('never passes late bytes of the old link on', () => {
    play(
      5,
      `
      -- The link is left, and still speaks: a message, and a DISCONNECT that our own move has caused.
      ${opening(v5)}
      lost
      node>   PUBLISH a=late | DISCONNECT code=142
      link
      >node   CONNECT id=dev will=gone sessionExpiryInterval:30 receiveMaximum:9
      node>   CONNACK present
      ${shared}
      node>   PUBLISH a=fresh
      >device PUBLISH a=fresh`,
    );
  });

  it('tells 0x8E on the link that is up, and lets the owner judge [MQTT-3.1.4-3]', () => {
    play(
      5,
      `${opening(v5)}
      node>   DISCONNECT code=142
      event   taken-over
      end     142
      >device DISCONNECT code=142
      event   end code=142 why=asked`,
    );
  });

  it('takes 0x8B, 0x9C and 0x9D as a request to move, with the Server Reference', () => {
    for (const code of [139, 156, 157]) {
      play(
        5,
        `${opening(v5)}
      node>   DISCONNECT code=${code} serverReference:node-2 | PUBLISH a=late
      event   node-leaving code=${code} serverReference=node-2
      ${moving(v5)}
      node>   CONNACK present
      ${shared}`,
      );
    }
  });

  it('passes on every other DISCONNECT, and then nothing', () => {
    play(
      5,
      `${opening(v5)}
      node>   DISCONNECT code=141 | PUBLISH a=late
      >device DISCONNECT code=141
      event   node-ended code=141
      device> PUBLISH a=late`,
    );
  });
});

describe('rule 15: the assigned client id', () => {
  it('re-attaches with the one that the node assigned [MQTT-3.2.2-16]', () => {
    play(
      5,
      `${opening('CONNECT id= clean', 'CONNACK assignedClientIdentifier:auto-7')} ${moving('CONNECT id=auto-7')}
      node>   CONNACK present
      ${shared}`,
    );
  });

  it('asks as the device did where a 3.1.1 device brings none, and under one of ours when it must move', () => {
    const stage = play(
      4,
      `
      -- A 3.1.1 device without client id: at its first node nothing is invented, at the next ones it has one of ours.
      ${opening('CONNECT id= clean user=me')}
      device> SUBSCRIBE #1 a:1
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      left
      link
      >node   CONNECT id=chosen user=me
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      ${rebuilt}
      lost
      link
      >node   CONNECT id=chosen clean user=me`,
    );
    expect(packetsIn(stage.session.purgeConnect(), 4).map(textOf)).toEqual([
      'CONNECT id=chosen clean user=me',
    ]);
  });

  it('leaves it to the node whether it takes a device without one [MQTT-3.1.3-8]', () => {
    const nameless = 'RAW 10 0c 00 04 4d 51 54 54 04 00 00 00 00 00';
    play(
      4,
      `
      device> ${nameless}
      link
      >node   ${linesOf(bytesOf(nameless, 4), 4)}
      node>   CONNACK code=2
      event   refused code=2`,
    );
  });
});

describe('rules 17 and 18: what cannot be', () => {
  it('does not move a device with enhanced authentication [MQTT-4.12.1-1]', () => {
    const stage = play(5, opening('CONNECT id=dev authenticationMethod:SCRAM'));
    expect(stage.session.immovable).toBe('enhanced-auth');
    expect(stage.say('end 157').slice(1)).toEqual([
      '>device DISCONNECT code=157',
      'event   end code=157 why=asked',
    ]);
  });

  it('overwrites credentials and payloads when the connection has ended', () => {
    const stage = play(
      4,
      `${opening(v4)}
      device> PUBLISH #1 q1 a=payload
      >node   PUBLISH #1 q1 a=payload
      lost`,
    );
    const kept = () => Buffer.from(stage.session.purgeConnect()).includes('secret');
    expect(kept()).toBe(true);
    stage.session.wipe();
    expect(kept).toThrow(); // there is no CONNECT any more
    expect(stage.session.facts.rememberedBytes).toBe(0);
  });

  it('is movable otherwise', () => {
    expect(play(4, opening(v4)).session.immovable).toBeUndefined();
    expect(new Stage(4, v4).session.immovable).toBe('connecting');
    expect(
      play(
        4,
        `${opening(v4)}
      device> SUBSCRIBE #1 ${'x'.repeat(200)}:0
      >node   SUBSCRIBE #1 ${'x'.repeat(200)}:0
      node>   SUBACK #1 0
      >device SUBACK #1 0`,
        { maxStateBytes: 100 },
      ).session.immovable,
    ).toBe('too-much-state');
  });

  it.each([
    ['flags [MQTT-3.2.2-1]', 'RAW 20 02 02 00'],
    ['flags beside Session Present', 'RAW 20 02 81 00'],
    ['flags of the fixed header [MQTT-2.1.3-1]', 'RAW 21 02 00 00'],
    ['length', 'RAW 20 01 00'],
  ])('takes CONNACK with wrong %s for a fault of the node', (_what, connack) => {
    play(
      4,
      `
      device> CONNECT id=dev
      link
      >node   CONNECT id=dev
      node>   ${connack}
      event   node-fault detail=malformed CONNACK`,
    );
  });

  it('treats a node that does not speak MQTT as a lost link', () => {
    play(
      4,
      `
      device> CONNECT id=dev
      link
      >node   CONNECT id=dev
      node>   PINGRESP | PUBLISH a=x
      event   node-fault detail=first packet is not CONNACK [MQTT-3.2.0-1]`,
    );
    const stage = play(4, opening(v4));
    const bad = Buffer.concat([Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), bytesOf('PUBLISH a=x', 4)]);
    stage.session.fromNode(bad, 0, bad.length);
    expect(stage.events.at(-1)).toEqual({ kind: 'node-fault', detail: 'malformed fixed header' });
  });
});
