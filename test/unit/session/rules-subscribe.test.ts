import { describe, expect, it } from 'vitest';
import { losing, moving, opening, play, rebuilt, shared } from './transcript.ts';

const dev = 'CONNECT id=dev';
const open = opening(dev);
const move = moving(dev);

function subscribed(filters: string, codes: string): string {
  return `${open}
      device> SUBSCRIBE #1 ${filters}
      >node   SUBSCRIBE #1 ${filters}
      node>   SUBACK #1 ${codes}
      >device SUBACK #1 ${codes}`;
}

describe('rule 7: SUBSCRIBE and UNSUBSCRIBE', () => {
  it('replays those that are unanswered, under the device’s packet ids [MQTT-3.8.4-2]', () => {
    for (const [present, outcome] of [
      [' present', shared],
      ['', rebuilt],
    ]) {
      play(
        4,
        `
      -- SUBSCRIBE and UNSUBSCRIBE are unanswered when the session moves: asked again, answered once.
      ${open}
      device> SUBSCRIBE #7 a:1 | UNSUBSCRIBE #8 b
      >node   SUBSCRIBE #7 a:1
      >node   UNSUBSCRIBE #8 b
      ${move}
      node>   CONNACK${present}
      >node   SUBSCRIBE #7 a:1
      >node   UNSUBSCRIBE #8 b
      ${outcome}
      node>   SUBACK #7 1 | UNSUBACK #8
      >device SUBACK #7 1
      >device UNSUBACK #8`,
      );
    }
  });

  it('replays under the lowest packet ids that the device has no use for [MQTT-2.2.1-3]', () => {
    play(
      5,
      `
      -- The replay needs packet ids while the device uses some itself. Low ones: RabbitMQ counts its own on from the highest.
      ${subscribed('a:1', '1')}
      device> PUBLISH #1 q1 b=1 | PUBLISH #2 q2 b=2 | PUBLISH #4 q1 b=3
      >node   PUBLISH #1 q1 b=1
      >node   PUBLISH #2 q2 b=2
      >node   PUBLISH #4 q1 b=3
      ${move}
      node>   CONNACK
      >node   SUBSCRIBE #3 a:1+rh2
      -- meanwhile the device may use any id that it has not in flight
      device> PUBLISH #3 q1 b=4
      node>   SUBACK #3 1
      >node   PUBLISH #1 q1 dup b=1
      >node   PUBLISH #2 q2 dup b=2
      >node   PUBLISH #4 q1 dup b=3
      >node   PUBLISH #3 q1 b=4
      ${rebuilt}
      node>   PUBACK #3
      >device PUBACK #3`,
    );
  });

  it('resends publishes, and lets the device go on, only when every replay is answered', () => {
    play(
      4,
      `
      -- Two filters are replayed. Until both are answered the device's publishes wait; what the node sends does not.
      ${subscribed('a:1 b:2', '1 1')}
      device> PUBLISH #2 q1 a=1
      >node   PUBLISH #2 q1 a=1
      ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1 b:1
      device> PUBLISH a=2
      node>   PUBLISH b=live
      >device PUBLISH b=live
      node>   SUBACK #1 1 1
      >node   PUBLISH #2 q1 dup a=1
      >node   PUBLISH a=2
      ${rebuilt}`,
    );
  });

  it('forgets what failed or was unsubscribed, and the older of two with one filter [MQTT-3.8.4-3]', () => {
    play(
      5,
      `
      -- One filter was refused, one given up, one asked for twice: what is in force is replayed, and no more.
      ${subscribed('a:1 b:1 c:1', '1 135 1')}
      device> UNSUBSCRIBE #2 c | SUBSCRIBE #3 a:2+nl
      >node   UNSUBSCRIBE #2 c
      >node   SUBSCRIBE #3 a:2+nl
      node>   UNSUBACK #2 0 | SUBACK #3 2
      >device UNSUBACK #2 0
      >device SUBACK #3 2
      ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:2+nl+rh2
      node>   SUBACK #1 2
      ${rebuilt}`,
    );
  });

  it('disconnects the device when it is granted less than before, rather than lie', () => {
    play(
      5,
      `${subscribed('a:1', '1')} ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1+rh2
      node>   SUBACK #1 135
      >device DISCONNECT code=135
      event   end code=135 why=granted-less`,
    );
    play(
      4,
      `${subscribed('a:1', '1')} ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 0
      event   end code=155 why=granted-less drops=true`,
    );
  });

  it('renews subscriptions of QoS 0 where the session is present before MQTT 5, because RabbitMQ forgets them', () => {
    // A node that has the subscription may refuse a new one (128), and serves the session all the same.
    for (const answer of [0, 128]) {
      play(
        4,
        `
      -- The next node has the session, and what is queued for it, but not its subscription of QoS 0.
      ${subscribed('a:1 b:0 c:2', '1 0 1')} ${move}
      node>   CONNACK present
      >node   SUBSCRIBE #1 b:0
      node>   PUBLISH #1 q1 a=queued | PUBLISH retain b=old | SUBACK #1 ${answer}
      >device PUBLISH #1 q1 a=queued
      ${shared}
      node>   PUBLISH b=live
      >device PUBLISH b=live`,
      );
    }
    play(
      5,
      `${subscribed('a:1 b:0', '1 0')} ${move}
      node>   CONNACK present
      ${shared}`,
    );
  });

  it('splits the replay, and avoids the packet ids that the device uses', () => {
    const filters = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `f${n}:0`).join(' ');
    play(
      4,
      `
      -- Nine filters do not fit into one packet: two are sent, and nothing else until both are answered.
      ${subscribed(filters, '0 0 0 0 0 0 0 0 0')}
      device> PUBLISH #1 q1 a=1
      >node   PUBLISH #1 q1 a=1
      ${move}
      node>   CONNACK
      >node   SUBSCRIBE #2 ${filters.slice(0, 39)}
      >node   SUBSCRIBE #3 f9:0
      node>   SUBACK #3 0 | SUBACK #2 0 0 0 0 0 0 0 0
      >node   PUBLISH #1 q1 dup a=1
      ${rebuilt}`,
    );
  });
});

describe('rule 8: retained messages', () => {
  it('asks MQTT 5 nodes not to send them again [MQTT-3.3.1-11]', () => {
    play(
      5,
      `${subscribed('a:1+rh1', '1')} ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1+rh2
      node>   SUBACK #1 1
      ${rebuilt}`,
    );
  });

  it('drops what answers the replay before MQTT 5, and nothing that the device asked for itself [MQTT-3.3.1-8]', () => {
    play(
      4,
      `
      -- The replay brings old retained messages again: they are for us. What the device asks for itself is not.
      ${subscribed('a/+:2', '2')} ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a/+:2
      node>   PUBLISH retain a/1=old | SUBACK #1 2 | PUBLISH #1 q1 retain a/2=old | PUBLISH #2 q2 retain a/3=old
      >node   PUBACK #1
      >node   PUBREC #2
      ${rebuilt}
      node>   PUBREL #2 | PUBLISH #3 q1 a/1=live
      >node   PUBCOMP #2
      >device PUBLISH #3 q1 a/1=live
      device> SUBSCRIBE #2 b/#:1
      >node   SUBSCRIBE #2 b/#:1
      node>   PUBLISH retain b=1 | SUBACK #2 1 | PUBLISH retain b/c=2 | PUBLISH retain a/1=old
      >device PUBLISH retain b=1
      >device SUBACK #2 1
      >device PUBLISH retain b/c=2`,
    );
  });

  it('lets them through some time after the replay, when they can only be live', () => {
    let nowMs = 5_000;
    const stage = play(
      4,
      `${subscribed('a/+:0', '0')} ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a/+:0
      node>   SUBACK #1 0
      ${rebuilt}
      node>   PUBLISH retain a/1=old`,
      { now: () => nowMs },
    );
    nowMs += 9_999;
    expect(stage.say('node> PUBLISH retain a/2=old').slice(1)).toEqual([]);
    nowMs += 1;
    expect(stage.say('node> PUBLISH retain a/3=live').slice(1)).toEqual(['>device PUBLISH retain a/3=live']);
  });

  it('drops nothing of a bridge’s, nor of MQTT 5, whose live messages may have RETAIN 1 [MQTT-3.3.1-13]', () => {
    const bridge = 'CONNECT id=dev clean bridge';
    const v5 = 'CONNECT id=dev clean';
    for (const [version, connect, asked, replayed] of [
      [4, bridge, 'a/#:1', 'a/#:1'],
      [5, v5, 'a/#:1+rap', 'a/#:1+rap+rh2'],
    ] as const) {
      const stage = play(
        version,
        `
      -- Live messages may look retained, to bridges and in MQTT 5: the device gets all of them.
      ${opening(connect)}
      device> SUBSCRIBE #1 ${asked}
      >node   SUBSCRIBE #1 ${asked}
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${losing(connect)}
      node>   CONNACK
      >node   SUBSCRIBE #1 ${replayed}
      node>   SUBACK #1 1
      ${rebuilt}
      node>   PUBLISH #1 q1 retain a/1=live
      >device PUBLISH #1 q1 retain a/1=live
      device> PUBACK #1
      >node   PUBACK #1`,
      );
      expect(stage.session.facts.subscriptions).toBe(1);
    }
  });

  it('lets them through where nothing was replayed', () => {
    play(
      4,
      `${subscribed('a:1', '1')} ${move}
      node>   CONNACK present
      ${shared}
      node>   PUBLISH retain a=1
      >device PUBLISH retain a=1`,
    );
  });
});

describe('rule 9: identifiers, options, shared subscriptions', () => {
  it('replays them verbatim, each identifier in a SUBSCRIBE of its own [MQTT-3.3.4-3]', () => {
    play(
      5,
      `
      -- Options and identifiers come to the next node as they came to the first.
      ${open}
      device> SUBSCRIBE #1 subscriptionIdentifier:300 a:1+nl+rap b:2 | SUBSCRIBE #2 subscriptionIdentifier:7 $share/g/c:1
      >node   SUBSCRIBE #1 a:1+nl+rap b:2 subscriptionIdentifier:300
      >node   SUBSCRIBE #2 $share/g/c:1 subscriptionIdentifier:7
      node>   SUBACK #1 1 2 | SUBACK #2 1
      >device SUBACK #1 1 2
      >device SUBACK #2 1
      ${move}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1+nl+rap+rh2 b:2+rh2 subscriptionIdentifier:300
      >node   SUBSCRIBE #2 $share/g/c:1+rh2 subscriptionIdentifier:7
      node>   SUBACK #1 1 2 | SUBACK #2 1
      ${rebuilt}`,
    );
  });
});

describe('rule 10: topic aliases', () => {
  const aliased = `${opening(dev, 'CONNACK topicAliasMaximum:5')}
      device> PUBLISH a/b=1 topicAlias:1 | PUBLISH =2 topicAlias:1 | PUBLISH #1 q1 =3 topicAlias:1
      >node   PUBLISH a/b=1 topicAlias:1
      >node   PUBLISH =2 topicAlias:1
      >node   PUBLISH #1 q1 =3 topicAlias:1`;

  it('are established again at the next node, whose connection knows none [MQTT-3.3.2-7]', () => {
    play(
      5,
      `${aliased} ${move}
      node>   CONNACK present topicAliasMaximum:5
      >node   PUBLISH #1 q1 dup a/b=3
      ${shared}
      device> PUBLISH =4 topicAlias:1 | PUBLISH =5 topicAlias:1
      >node   PUBLISH a/b=4 topicAlias:1
      >node   PUBLISH =5 topicAlias:1`,
    );
  });

  it('are expanded where the node takes fewer than the device was told [MQTT-3.3.2-9]', () => {
    play(
      5,
      `${aliased} ${move}
      node>   CONNACK present
      >node   PUBLISH #1 q1 dup a/b=3
      ${shared}
      device> PUBLISH =4 topicAlias:1 | PUBLISH #2 q2 c=5 topicAlias:2 | PUBLISH #3 q1 =6 topicAlias:2 messageExpiryInterval:9
      >node   PUBLISH a/b=4
      >node   PUBLISH #2 q2 c=5
      >node   PUBLISH #3 q1 c=6 messageExpiryInterval:9`,
    );
  });

  it('resend what was said under them, though they mean something else by now', () => {
    play(
      5,
      `
      -- An alias was named anew after the publish that is sent again: the publish goes with its own topic.
      ${aliased}
      device> PUBLISH other=4 topicAlias:1
      >node   PUBLISH other=4 topicAlias:1
      ${move}
      node>   CONNACK topicAliasMaximum:5
      >node   PUBLISH #1 q1 dup a/b=3
      ${rebuilt}
      device> PUBLISH =5 topicAlias:1
      >node   PUBLISH other=5 topicAlias:1`,
    );
  });
});

describe('rule 10: topic aliases of the node [MQTT-3.3.2-7]', () => {
  const device = 'CONNECT id=dev topicAliasMaximum:9';
  const away = moving(device);

  it('come with their topic, though the message that named it was not given to the device again', () => {
    play(
      5,
      `
      -- The new node names an alias in a message that the device has already: the next one brings the topic.
      ${opening(device)}
      node>   PUBLISH #1 q1 a=one
      >device PUBLISH #1 q1 a=one
      ${away}
      node>   CONNACK present
      ${shared}
      -- the device has it already
      node>   PUBLISH #1 q1 dup a=one topicAlias:1
      node>   PUBLISH =two topicAlias:1 | PUBLISH #2 q1 =three topicAlias:1
      >device PUBLISH a=two topicAlias:1
      >device PUBLISH #2 q1 =three topicAlias:1`,
    );
  });

  it('mean what they meant when a message has to wait for the device', () => {
    play(
      5,
      `${opening(`${device} receiveMaximum:1`)}
      node>   PUBLISH #1 q1 old=one
      >device PUBLISH #1 q1 old=one
      ${moving(`${device} receiveMaximum:1`)}
      node>   CONNACK
      ${rebuilt}
      node>   PUBLISH #1 q1 a=two topicAlias:1
      node>   PUBLISH =three topicAlias:1 | PUBLISH b=four topicAlias:1
      >device PUBLISH a=three topicAlias:1
      >device PUBLISH b=four topicAlias:1
      node>   PUBLISH #2 q1 =five topicAlias:1
      node>   PUBLISH c=six topicAlias:1
      >device PUBLISH c=six topicAlias:1
      device> PUBACK #1
      >device PUBLISH #1 q1 a=two
      device> PUBACK #1
      >node   PUBACK #1
      >device PUBLISH #2 q1 b=five`,
    );
  });

  it('are bounded', () => {
    play(
      5,
      `${opening(device)} ${away}
      node>   CONNACK present
      ${shared}
      node>   PUBLISH ${'a'.repeat(30)}=1 topicAlias:1
      >device PUBLISH ${'a'.repeat(30)}=1 topicAlias:1
      node>   PUBLISH ${'b'.repeat(30)}=2 topicAlias:2
      >device DISCONNECT code=151
      event   end code=151 why=too-much-held`,
      { maxStateBytes: 350 },
    );
  });
});

describe('rule 12: capability drift', () => {
  const cases: [advertised: string, remembered: string, next: string, code: number][] = [
    ['', 'PUBLISH #1 q2 a=1', 'maximumQoS:1', 155],
    ['', 'PUBLISH #1 q1 retain a=1', 'retainAvailable:false', 154],
    ['', `PUBLISH #1 q1 a=${'x'.repeat(50)}`, 'maximumPacketSize:40', 149],
  ];
  it.each(
    cases,
  )('tells the device when the next node cannot take %s%s: %s', (advertised, remembered, next, code) => {
    play(
      5,
      `${opening(dev, `CONNACK${advertised}`)}
      device> ${remembered}
      >node   ${remembered}
      ${move}
      node>   CONNACK ${next}
      >device DISCONNECT code=${code}
      event   end code=${code} why=promised-less`,
    );
  });

  it.each([
    ['$share/g/a:1', 'sharedSubscriptionAvailable:false', 158],
    ['a/#:1', 'wildcardSubscriptionAvailable:false', 162],
  ])('or cannot serve its subscription to %s: %s', (filter, next, code) => {
    play(
      5,
      `${subscribed(filter, '1')} ${move}
      node>   CONNACK ${next}
      >device DISCONNECT code=${code}
      event   end code=${code} why=promised-less`,
    );
  });

  it('or its Subscription Identifier', () => {
    play(
      5,
      `${open}
      device> SUBSCRIBE #1 a:1 subscriptionIdentifier:7
      >node   SUBSCRIBE #1 a:1 subscriptionIdentifier:7
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${move}
      node>   CONNACK subscriptionIdentifiersAvailable:false
      >device DISCONNECT code=161
      event   end code=161 why=promised-less`,
    );
  });

  it('goes on where it does not matter', () => {
    play(
      5,
      `${subscribed('a:1', '1')} ${move}
      node>   CONNACK present maximumQoS:1 retainAvailable:false sharedSubscriptionAvailable:false
      ${shared}`,
    );
  });
});
