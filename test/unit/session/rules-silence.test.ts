import { expect, it } from 'vitest';
import { bytesOf } from './packet-text.ts';
import { opening, play, rebuilt, shared } from './transcript.ts';

const dev = 'CONNECT id=dev';
const open = opening(dev);
/** What both sides have said when the node falls silent, and what the device says then. */
const silent = `${open}
    device> PUBLISH #1 q1 a=1 | PINGREQ
    >node   PUBLISH #1 q1 a=1
    >node   PINGREQ
    withhold
    >device PINGRESP
    device> PUBLISH #2 q1 a=2 | PINGREQ | PUBLISH a=3
    >device PINGRESP`;

it('keeps what the device sends from a node that says nothing, answers its pings, and gives it all in order when the node speaks again', () => {
  const { session } = play(
    4,
    `
    -- The node falls silent and speaks again: what waited goes to it in order.
    ${silent}
    node>   PUBLISH #9 q1 b=9
    >device PUBLISH #9 q1 b=9
    device> PUBACK #9
    node>   PUBACK #1 | PINGRESP
    >device PUBACK #1
    release
    >node   PUBLISH #2 q1 a=2
    >node   PUBLISH a=3
    >node   PUBACK #9
    device> PINGREQ
    >node   PINGREQ
    node>   PUBACK #2 | PINGRESP
    >device PUBACK #2
    >device PINGRESP`,
  );
  expect(session.facts).toMatchObject({ fromDevice: 0, toDevice: 0 });
});

it('hears the silent node until another has accepted the session, and then gives that one what waits [MQTT-4.4.0-1] [MQTT-4.6.0-1]', () => {
  const { session } = play(
    4,
    `
    -- Another node accepts the session. What the silent one had not acknowledged comes again there.
    ${silent}
    ask
    >node   ${dev}
    node>   PUBLISH #9 q1 b=9
    >device PUBLISH #9 q1 b=9
    device> PUBACK #9
    lost
    turn
    node>   CONNACK present
    >node   PUBLISH #1 q1 dup a=1
    >node   PUBLISH #2 q1 a=2
    >node   PUBLISH a=3
    ${shared}
    node>   PUBLISH #9 q1 dup b=9
    >node   PUBACK #9`,
  );
  expect(session.facts.toDevice).toBe(0);
});

it('rebuilds the session where the other node does not have it', () => {
  play(
    4,
    `
    -- Another node accepts and does not know the session: it is rebuilt there.
    ${silent}
    ask
    >node   ${dev}
    lost
    turn
    node>   CONNACK
    >node   PUBLISH #1 q1 dup a=1
    >node   PUBLISH #2 q1 a=2
    >node   PUBLISH a=3
    ${rebuilt}`,
  );
});

it('trusts a session no more that a node has after one that was asked and did not answer', () => {
  const script = (answer: string) => `
    -- One node was asked and did not answer, the next one says Session Present: that may be of our own making.
    ${open}
    device> SUBSCRIBE #1 b:1
    >node   SUBSCRIBE #1 b:1
    node>   SUBACK #1 1
    >device SUBACK #1 1
    withhold
    ask
    >node   ${dev}
    ${answer}
    ask
    >node   ${dev}
    lost
    turn
    node>   CONNACK present`;
  play(4, `${script('')}\n>node SUBSCRIBE #1 b:1`);
  const { session } = play(4, `${script('refused')}\n${shared}`);
  expect(session.attached).toBe(true);
});

it('lets a DISCONNECT wait for the node like everything else', () => {
  play(
    4,
    `${silent}
    device> DISCONNECT
    event   device-left forwarded=false
    release
    >node   PUBLISH #2 q1 a=2
    >node   PUBLISH a=3
    >node   DISCONNECT
    event   device-left forwarded=true`,
  );
});

it('gives the silent node the rest of a message that it has in part, and nothing behind it', () => {
  const stage = play(4, open);
  const bytes = bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4);
  let given = 0;
  stage.output.toNode = (_bytes, start, end) => {
    given += end - start;
  };
  stage.session.fromDevice(bytes, 0, 60);
  stage.session.withhold();
  stage.session.fromDevice(Buffer.concat([bytes.subarray(60), bytes]), 0, 2 * bytes.length - 60);
  expect(given).toBe(bytes.length);
  stage.session.release();
  expect(given).toBe(2 * bytes.length);
});
