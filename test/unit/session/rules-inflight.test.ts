import { describe, expect, it } from 'vitest';
import { moving, opening, play, rebuilt, shared } from './transcript.ts';

const dev = 'CONNECT id=dev';
const open = opening(dev);
const move = moving(dev);

describe('rule 4: from the device, in flight', () => {
  const inFlight = `
      -- Five publishes, each at another stage when the session moves.
      ${open}
      device> PUBLISH #9 q1 a=1 | PUBLISH #2 q2 a=2 | PUBLISH #3 q2 a=3 | PUBLISH #4 q2 a=4 | PUBLISH #5 q1 a=5
      >node   PUBLISH #9 q1 a=1
      >node   PUBLISH #2 q2 a=2
      >node   PUBLISH #3 q2 a=3
      >node   PUBLISH #4 q2 a=4
      >node   PUBLISH #5 q1 a=5
      node>   PUBREC #2 | PUBREC #3
      >device PUBREC #2
      >device PUBREC #3
      device> PUBREL #2
      >node   PUBREL #2
      ${move}`;

  it('resends in order, same ids, DUP 1, QoS 2 at the right half [MQTT-4.4.0-1] [MQTT-4.6.0-1] [MQTT-3.3.1-1]', () => {
    const { session } = play(
      4,
      `
      -- The next node knows the session: what is unanswered comes again, in order, the rest goes on from where it was.
      ${inFlight}
      node>   CONNACK present
      >node   PUBLISH #9 q1 dup a=1
      >node   PUBREL #2
      >node   PUBLISH #4 q2 dup a=4
      >node   PUBLISH #5 q1 dup a=5
      ${shared}
      node>   PUBACK #9 | PUBCOMP #2 | PUBREC #4 | PUBACK #5
      >device PUBACK #9
      >device PUBCOMP #2
      >device PUBREC #4
      >device PUBACK #5
      device> PUBREL #3 | PUBREL #4
      >node   PUBREL #3
      >node   PUBREL #4
      node>   PUBCOMP #3 | PUBCOMP #4
      >device PUBCOMP #3
      >device PUBCOMP #4`,
    );
    expect(session.facts.fromDevice).toBe(0);
  });

  it('finishes an exchange past PUBREC with the device alone where the session is gone [MQTT-4.3.3-2]', () => {
    const { session } = play(
      4,
      `
      -- It does not know the session: what has a PUBREC is finished with the device, the rest comes again.
      ${inFlight}
      node>   CONNACK
      >node   PUBLISH #9 q1 dup a=1
      >node   PUBLISH #4 q2 dup a=4
      >node   PUBLISH #5 q1 dup a=5
      >device PUBCOMP #2
      ${rebuilt}
      device> PUBREL #3
      >device PUBCOMP #3
      node>   PUBACK #9 | PUBREC #4 | PUBACK #5
      >device PUBACK #9
      >device PUBREC #4
      >device PUBACK #5
      device> PUBREL #4
      >node   PUBREL #4
      node>   PUBCOMP #4
      >device PUBCOMP #4`,
    );
    expect(session.facts.fromDevice).toBe(0);
  });

  it('lets a failed PUBREC end the exchange [MQTT-4.3.3-4]', () => {
    const { session } = play(
      5,
      `${open}
      device> PUBLISH #1 q2 a=1
      >node   PUBLISH #1 q2 a=1
      node>   PUBREC #1 code=151
      >device PUBREC #1 code=151
      ${move}
      node>   CONNACK present
      ${shared}`,
    );
    expect(session.facts.fromDevice).toBe(0);
  });

  const resentTwice = `
      -- Two QoS 2 exchanges, one before PUBREC and one behind PUBREL, move to a node that knows them.
      ${open}
      device> PUBLISH #1 q2 a=1 | PUBLISH #2 q2 a=2
      >node   PUBLISH #1 q2 a=1
      >node   PUBLISH #2 q2 a=2
      node>   PUBREC #2
      >device PUBREC #2
      device> PUBREL #2
      >node   PUBREL #2
      ${move}
      node>   CONNACK present
      >node   PUBLISH #1 q2 dup a=1
      >node   PUBREL #2
      ${shared}`;

  it('takes PUBREC 0x91 and PUBCOMP 0x92 for what was resent to a session that was taken over as success (4.3.3)', () => {
    const { session } = play(
      5,
      `${resentTwice}
      node>   PUBREC #1 code=145 | PUBCOMP #2 code=146
      >device PUBREC #1
      >device PUBCOMP #2
      device> PUBREL #1
      >node   PUBREL #1
      node>   PUBCOMP #1 code=146
      >device PUBCOMP #1`,
    );
    expect(session.facts.fromDevice).toBe(0);
  });

  it('passes PUBREC 0x91 and PUBCOMP 0x92 on for what was not resent, and other refusals in any case', () => {
    const { session } = play(
      5,
      `
      -- What the node refuses for other reasons, or was never resent, is refused to the device too.
      ${resentTwice}
      node>   PUBREC #1 code=135
      >device PUBREC #1 code=135
      device> PUBLISH #1 q2 a=1 | PUBLISH #3 q2 a=3 | PUBREL #9
      >node   PUBLISH #1 q2 a=1
      >node   PUBLISH #3 q2 a=3
      >node   PUBREL #9
      node>   PUBREC #1 code=145 | PUBREC #3 code=145 | PUBCOMP #9 code=146 | PUBCOMP #2
      >device PUBREC #1 code=145
      >device PUBREC #3 code=145
      >device PUBCOMP #9 code=146
      >device PUBCOMP #2`,
    );
    expect(session.facts.fromDevice).toBe(0);
  });

  it('passes acknowledgements that answer nothing on to the device, as without a proxy', () => {
    play(
      4,
      `${open}
      node>   PUBACK #1 | PUBCOMP #2 | SUBACK #3 0 | PINGRESP
      >device PUBACK #1
      >device PUBCOMP #2
      >device SUBACK #3 0
      >device PINGRESP`,
    );
  });

  it('follows an exchange that is older than the connection [MQTT-4.4.0-1]', () => {
    play(
      4,
      `${opening(dev, 'CONNACK present')}
      device> PUBREL #8
      >node   PUBREL #8
      node>   PUBCOMP #8 | PUBREL #5
      >device PUBCOMP #8
      >device PUBREL #5
      device> PUBCOMP #5
      >node   PUBCOMP #5`,
    );
  });
});

describe('rule 5: to the device, in flight', () => {
  const inFlight = `
      -- Four deliveries, each at another stage when the session moves.
      ${open}
      node>   PUBLISH #1 q1 a=1 | PUBLISH #2 q2 a=2 | PUBLISH #3 q2 a=3 | PUBLISH #4 q2 a=4
      >device PUBLISH #1 q1 a=1
      >device PUBLISH #2 q2 a=2
      >device PUBLISH #3 q2 a=3
      >device PUBLISH #4 q2 a=4
      device> PUBREC #3 | PUBREC #4
      >node   PUBREC #3
      >node   PUBREC #4
      node>   PUBREL #4
      >device PUBREL #4
      ${move}`;

  it('gives a new node’s message another id while the device holds its own, and maps the answer back', () => {
    const { session } = play(
      4,
      `
      -- The next node does not know them and uses the same packet ids, which the device still holds.
      ${inFlight}
      node>   CONNACK
      >device PUBREL #3
      ${rebuilt}
      node>   PUBLISH #1 q1 a=new | PUBLISH #2 q2 a=new | PUBLISH #5 q1 a=new
      >device PUBLISH #65535 q1 a=new
      >device PUBLISH #65534 q2 a=new
      >device PUBLISH #5 q1 a=new
      device> PUBACK #65535 | PUBREC #65534 | PUBACK #5
      >node   PUBACK #1
      >node   PUBREC #2
      >node   PUBACK #5
      node>   PUBREL #2
      >device PUBREL #65534
      device> PUBCOMP #65534 | PUBACK #1
      >node   PUBCOMP #2
      node>   PUBLISH #1 q1 a=newer
      >device PUBLISH #1 q1 a=newer`,
    );
    expect(session.facts.toDevice).toBe(4);
  });

  it('swallows acknowledgements of the lost node’s messages, and completes its QoS 2 [MQTT-4.3.3-10] [MQTT-4.3.3-11]', () => {
    const { session } = play(
      4,
      `${inFlight}
      device> PUBACK #1
      node>   CONNACK
      >device PUBREL #3
      ${rebuilt}
      device> PUBREC #2
      >device PUBREL #2
      device> PUBCOMP #2 | PUBCOMP #3 | PUBCOMP #4`,
    );
    expect(session.facts.toDevice).toBe(0);
  });

  it('does not show the device again what a shared session redelivers, and passes its answer on [MQTT-4.4.0-1]', () => {
    const { session } = play(
      4,
      `
      -- The next node knows them and delivers again. The device has them, so it is told only what it lacks.
      ${inFlight}
      node>   CONNACK present
      ${shared}
      node>   PUBLISH #1 q1 dup a=1 | PUBLISH #2 q2 dup a=2 | PUBREL #3 | PUBREL #4
      >device PUBREL #3
      device> PUBACK #1 | PUBREC #2 | PUBCOMP #3 | PUBCOMP #4
      >node   PUBACK #1
      >node   PUBREC #2
      >node   PUBCOMP #3
      >node   PUBCOMP #4`,
    );
    expect(session.facts.toDevice).toBe(1);
  });

  it('shows the device what a node sends once more by the same link, because it had no answer (rule 0)', () => {
    const { session } = play(
      4,
      `
      -- As EMQX and VerneMQ do after their retry_interval.
      ${open}
      node>   PUBLISH #1 q1 a=1 | PUBLISH #2 q2 a=2 | PUBLISH #1 q1 dup a=1 | PUBLISH #2 q2 dup a=2
      >device PUBLISH #1 q1 a=1
      >device PUBLISH #2 q2 a=2
      >device PUBLISH #1 q1 dup a=1
      >device PUBLISH #2 q2 dup a=2
      device> PUBREC #2 | PUBREC #2
      >node   PUBREC #2
      >node   PUBREC #2
      node>   PUBREL #2 | PUBREL #2
      >device PUBREL #2
      >device PUBREL #2
      device> PUBCOMP #2 | PUBCOMP #2 | PUBACK #1 | PUBACK #1
      >node   PUBCOMP #2
      >node   PUBCOMP #2
      >node   PUBACK #1
      >node   PUBACK #1`,
    );
    expect(session.facts.toDevice).toBe(0);
  });

  it('shows it what the next node sends a second time, under the id that the device knows', () => {
    const { session } = play(
      4,
      `
      -- The first time is the redelivery that a new link begins with, of what the device has.
      ${inFlight}
      node>   CONNACK present
      ${shared}
      node>   PUBLISH #1 q1 dup a=1 | PUBREL #3
      >device PUBREL #3
      node>   PUBLISH #1 q1 dup a=1 | PUBREL #3
      >device PUBLISH #1 q1 dup a=1
      >device PUBREL #3
      device> PUBACK #1 | PUBCOMP #3
      >node   PUBACK #1
      >node   PUBCOMP #3`,
    );
    expect(session.facts.toDevice).toBe(2);
  });

  it('answers a redelivery itself where the device has acknowledged while no node had it [MQTT-4.3.3-10]', () => {
    const { session } = play(
      4,
      `
      -- The device has answered while no node had the session: the redelivery is answered from here.
      ${inFlight}
      device> PUBACK #1 | PUBREC #2 | PUBCOMP #4
      node>   CONNACK present
      ${shared}
      node>   PUBLISH #1 q1 dup a=1 | PUBLISH #2 q2 dup a=2 | PUBLISH #3 q2 dup a=3 | PUBREL #4
      >node   PUBACK #1
      >node   PUBREC #2
      >node   PUBREC #3
      >node   PUBCOMP #4
      node>   PUBREL #2 | PUBREL #3
      >device PUBREL #2
      >device PUBREL #3
      device> PUBCOMP #2 | PUBCOMP #3
      >node   PUBCOMP #2
      >node   PUBCOMP #3`,
    );
    expect(session.facts.toDevice).toBe(0);
  });

  it('knows a redelivery without DUP, as aedes sends it, from a new message with the same id', () => {
    play(
      4,
      `${inFlight}
      device> PUBREC #2
      node>   CONNACK present
      ${shared}
      node>   PUBLISH #2 q2 a=2 | PUBLISH #3 q2 a=other
      >node   PUBREC #2
      >device PUBREL #3
      >device PUBLISH #65535 q2 a=other`,
    );
  });

  it('gives a message another id where its node has taken up that id for one that the device holds [MQTT-2.3.1-4]', () => {
    const { session } = play(
      4,
      `
      -- aedes delivers #2 again, and gives its id to a new message before the device has let go of it.
      ${open}
      node>   PUBLISH #2 q2 a=2
      >device PUBLISH #2 q2 a=2
      ${move}
      device> PUBREC #2
      node>   CONNACK present
      ${shared}
      node>   PUBLISH #2 q2 a=2 | PUBLISH #2 q2 a=new
      >node   PUBREC #2
      >device PUBREL #2
      >device PUBLISH #65535 q2 a=new
      device> PUBREC #65535 | PUBCOMP #2
      >node   PUBREC #2
      node>   PUBREL #2
      >device PUBREL #65535
      device> PUBCOMP #65535
      >node   PUBCOMP #2`,
    );
    expect(session.facts.toDevice).toBe(0);
  });
});

describe('rule 6: never on the node’s behalf', () => {
  it('acknowledges nothing while no node has it, keeps everything in order, and then stops reading the device', () => {
    const { session } = play(
      4,
      `
      -- No node has the session. All kinds of packets wait, none is answered, and then go in order.
      ${open}
      lost
      device> PUBLISH a=0 | PUBLISH #1 q1 a=1 | SUBSCRIBE #2 a:1 | PUBLISH #3 q2 a=2
      link
      >node   CONNECT id=dev
      device> PUBLISH a=4
      node>   CONNACK
      >node   PUBLISH a=0
      >node   PUBLISH #1 q1 a=1
      >node   SUBSCRIBE #2 a:1
      >node   PUBLISH #3 q2 a=2
      >node   PUBLISH a=4
      ${rebuilt}`,
    );
    expect(session.holdsDevice).toBe(false);
  });

  it('holds the device at the bound of the offline buffer, and of what no node has acknowledged', () => {
    const offlineBuffer = play(
      4,
      `${open}
      lost
      device> PUBLISH a=${'x'.repeat(100)}`,
      { maxOfflineBytes: 100 },
    );
    expect(offlineBuffer.session.holdsDevice).toBe(true);
    offlineBuffer.say('link');
    offlineBuffer.say('node> CONNACK present');
    expect(offlineBuffer.session.holdsDevice).toBe(false);

    const inFlight = play(
      4,
      `${open}
      device> PUBLISH #1 q2 a=${'x'.repeat(100)}
      >node   PUBLISH #1 q2 a=${'x'.repeat(100)}`,
      { maxInflightBytes: 100 },
    );
    expect(inFlight.session.holdsDevice).toBe(true);
    inFlight.say('node> PUBREC #1'); // the device must be read now, or its PUBREL never comes
    expect(inFlight.session.holdsDevice).toBe(false);
  });

  it('lets a device that leaves while no node has it say so to the next node', () => {
    play(
      4,
      `
      -- The device leaves while no node has its session. The next node hears what it said, and the goodbye.
      ${open}
      device> PUBLISH #1 q1 a=1
      >node   PUBLISH #1 q1 a=1
      lost
      device> PUBLISH a=2 | DISCONNECT | PUBLISH a=never
      event   device-left forwarded=false
      link
      >node   CONNECT id=dev
      node>   CONNACK present
      >node   PUBLISH #1 q1 dup a=1
      >node   PUBLISH a=2
      >node   DISCONNECT
      ${shared}
      event   device-left forwarded=true`,
    );
  });
});

describe('packet ids', () => {
  it('are looked up by kind: one may stand for a PUBLISH, a SUBSCRIBE and an UNSUBSCRIBE at a time', () => {
    const { session } = play(
      4,
      `
      -- One packet id in three exchanges at a time: the answers tell them apart.
      ${opening('CONNECT id=dev')}
      device> PUBLISH #3 q1 a=1 | SUBSCRIBE #3 b:1 | UNSUBSCRIBE #3 c
      >node   PUBLISH #3 q1 a=1
      >node   SUBSCRIBE #3 b:1
      >node   UNSUBSCRIBE #3 c
      node>   UNSUBACK #3 | SUBACK #3 1 | PUBACK #3
      >device UNSUBACK #3
      >device SUBACK #3 1
      >device PUBACK #3`,
    );
    expect(session.facts).toMatchObject({ subscriptions: 1, fromDevice: 0 });
  });

  it('are replayed each as its own kind, and answered', () => {
    const { session } = play(
      4,
      `
      -- Two exchanges under one packet id move, and are answered each by its own kind.
      ${opening('CONNECT id=dev')}
      device> SUBSCRIBE #3 b:1 | PUBLISH #3 q1 a=1
      >node   SUBSCRIBE #3 b:1
      >node   PUBLISH #3 q1 a=1
      ${moving('CONNECT id=dev')}
      node>   CONNACK present
      >node   SUBSCRIBE #3 b:1
      >node   PUBLISH #3 q1 dup a=1
      ${shared}
      node>   PUBACK #3 | SUBACK #3 1
      >device PUBACK #3
      >device SUBACK #3 1`,
    );
    expect(session.facts).toMatchObject({ subscriptions: 1, fromDevice: 0 });
  });

  it('that a device gives twice are answered twice', () => {
    const { session } = play(
      4,
      `${opening('CONNECT id=dev')}
      device> PUBLISH #3 q1 a=1 | PUBLISH #3 q1 a=2
      >node   PUBLISH #3 q1 a=1
      >node   PUBLISH #3 q1 a=2
      node>   PUBACK #3 | PUBACK #3
      >device PUBACK #3
      >device PUBACK #3`,
    );
    expect(session.facts).toMatchObject({ fromDevice: 0 });
  });
});

describe('rule 11: Receive Maximum', () => {
  it('sends a node with a smaller one no more than it takes, in order [MQTT-3.3.4-7] [MQTT-4.9.0-1]', () => {
    play(
      5,
      `
      -- From a node that takes three at a time to one that takes one: the rest waits its turn.
      ${opening(dev, 'CONNACK receiveMaximum:3')}
      device> PUBLISH #1 q1 a=1 | PUBLISH #2 q2 a=2 | PUBLISH #3 q1 a=3
      >node   PUBLISH #1 q1 a=1
      >node   PUBLISH #2 q2 a=2
      >node   PUBLISH #3 q1 a=3
      ${move}
      node>   CONNACK present receiveMaximum:1
      >node   PUBLISH #1 q1 dup a=1
      ${shared}
      node>   PUBACK #1
      >node   PUBLISH #2 q2 dup a=2
      >device PUBACK #1
      device> PUBLISH #4 q1 a=4 | PUBLISH a=zero
      >node   PUBLISH a=zero
      node>   PUBREC #2
      >device PUBREC #2
      device> PUBREL #2
      >node   PUBREL #2
      node>   PUBCOMP #2
      >node   PUBLISH #3 q1 dup a=3
      >device PUBCOMP #2
      node>   PUBACK #3
      >node   PUBLISH #4 q1 a=4
      >device PUBACK #3
      node>   PUBACK #4
      >device PUBACK #4`,
    );
  });

  it('sets DUP on what waited only once a node has had it [MQTT-3.3.1-1]', () => {
    play(
      5,
      `
      -- A publish waited for room at one node, came to the second for the first time, to the third again.
      ${opening(dev, 'CONNACK receiveMaximum:2')}
      device> PUBLISH #1 q1 a=1
      >node   PUBLISH #1 q1 a=1
      ${move}
      node>   CONNACK present receiveMaximum:1
      >node   PUBLISH #1 q1 dup a=1
      ${shared}
      device> PUBLISH #2 q1 a=2
      ${move}
      node>   CONNACK present
      >node   PUBLISH #1 q1 dup a=1
      >node   PUBLISH #2 q1 a=2
      ${shared}
      ${move}
      node>   CONNACK present
      >node   PUBLISH #1 q1 dup a=1
      >node   PUBLISH #2 q1 dup a=2
      ${shared}`,
    );
  });

  const small = 'CONNECT id=dev receiveMaximum:1';

  it('gives the device no more than it takes while it still has a lost node’s messages [MQTT-3.3.4-9]', () => {
    play(
      5,
      `
      -- The device takes one message at a time and holds an old one: the new node's has to wait.
      ${opening(small)}
      node>   PUBLISH #1 q1 a=old
      >device PUBLISH #1 q1 a=old
      ${moving(small)}
      node>   CONNACK
      ${rebuilt}
      node>   PUBLISH #1 q2 a=new | PUBLISH a=zero
      >device PUBLISH a=zero
      device> PUBACK #1
      >device PUBLISH #1 q2 a=new
      device> PUBREC #1
      >node   PUBREC #1`,
    );
  });

  it('still delivers what it held of a node that is lost in turn', () => {
    play(
      5,
      `
      -- What waited for the device outlives the node that sent it.
      ${opening(small)}
      node>   PUBLISH #1 q1 a=old
      >device PUBLISH #1 q1 a=old
      ${moving(small)}
      node>   CONNACK
      ${rebuilt}
      node>   PUBLISH #1 q1 a=new
      ${moving(small)}
      node>   CONNACK
      ${rebuilt}
      device> PUBACK #1
      >device PUBLISH #1 q1 a=new
      device> PUBACK #1`,
    );
  });

  it('finishes old QoS 2 exchanges when the node goes on without them', () => {
    play(
      5,
      `
      -- The old exchange is not taken up by the new node: it is finished here, and makes room.
      ${opening(small)}
      node>   PUBLISH #1 q2 a=old
      >device PUBLISH #1 q2 a=old
      device> PUBREC #1
      >node   PUBREC #1
      ${moving(small)}
      node>   CONNACK present
      ${shared}
      node>   PUBLISH #2 q1 a=new
      >device PUBREL #1
      device> PUBCOMP #1
      >device PUBLISH #2 q1 a=new`,
    );
  });

  it('bounds what it holds', () => {
    play(
      5,
      `
      -- What waits for a full device is bounded: beyond, the device is told.
      ${opening(small)}
      node>   PUBLISH #1 q1 a=old
      >device PUBLISH #1 q1 a=old
      ${moving(small)}
      node>   CONNACK
      ${rebuilt}
      node>   PUBLISH #1 q1 a=${'x'.repeat(100)}
      >device DISCONNECT code=151
      event   end code=151 why=too-much-held`,
      { maxInflightBytes: 100 },
    );
  });
});

describe('rule 16: keep-alive', () => {
  it('answers PINGREQ while no node has it, and one that the lost node owes [MQTT-3.12.4-1]', () => {
    play(
      4,
      `
      -- A ping is owed by the lost node, another one comes: both are answered here.
      ${open}
      device> PINGREQ
      >node   PINGREQ
      lost
      >device PINGRESP
      device> PINGREQ
      >device PINGRESP
      link
      >node   CONNECT id=dev
      node>   CONNACK present
      ${shared}`,
    );
  });

  it('keeps the answer to its own ping from the device', () => {
    const { session } = play(
      4,
      `
      -- Our own ping and the device's are both answered; the device hears one.
      ${open}
      ping
      >node   PINGREQ
      ping
      device> PINGREQ
      >node   PINGREQ
      node>   PINGRESP
      >device PINGRESP
      node>   PINGRESP`,
    );
    expect(session.pingUnanswered).toBe(false);
  });

  it.each([
    ['behind', ['device> RAW c1 00', '>node   RAW c1 00'], ['ping', '>node   PINGREQ']],
    ['before', ['ping', '>node   PINGREQ'], ['device> RAW c1 00', '>node   RAW c1 00']],
  ])('and the answer to a PINGREQ that the standard does not allow from itself: its own is %s that', (_where, first, then) => {
    const { session } = play(
      4,
      `
      -- The node answers both, in order with what else it says. The device hears the first answer, and no other.
      ${open}
      ${[...first, ...then].join('\n      ')}
      node>   PINGRESP | PUBLISH a=x | PINGRESP
      >device PINGRESP
      >device PUBLISH a=x
      device> PINGREQ
      >node   PINGREQ
      node>   PINGRESP
      >device PINGRESP`,
    );
    expect(session.pingUnanswered).toBe(false);
  });

  it('holds the device to the first node’s Server Keep Alive, and itself to the present one’s [MQTT-3.2.2-21]', () => {
    const connect = 'CONNECT id=dev keepalive=60';
    const { session } = play(
      5,
      `${opening(connect, 'CONNACK serverKeepAlive:30')} ${moving(connect)}
      node>   CONNACK present serverKeepAlive:10
      ${shared}`,
    );
    expect([session.deviceKeepAlive, session.nodeKeepAlive]).toEqual([30, 10]);
  });
});

describe('rule 19: order', () => {
  it('puts resends before the offline buffer, and that before what comes after [MQTT-4.6.0-5]', () => {
    play(
      4,
      `
      -- Sent before, sent meanwhile, sent after: the next node gets all in this order.
      ${open}
      device> PUBLISH #1 q1 a=1
      >node   PUBLISH #1 q1 a=1
      lost
      device> PUBLISH #2 q1 a=2
      link
      >node   CONNECT id=dev
      device> PUBLISH #3 q1 a=3
      node>   CONNACK
      >node   PUBLISH #1 q1 dup a=1
      >node   PUBLISH #2 q1 a=2
      >node   PUBLISH #3 q1 a=3
      ${rebuilt}
      device> PUBLISH #4 q1 a=4
      >node   PUBLISH #4 q1 a=4`,
    );
  });
});
