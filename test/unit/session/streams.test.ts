import { expect, it } from 'vitest';
import { bytesOf } from './packet-text.ts';
import { moving, opening, options, play, type Stage, shared } from './transcript.ts';

const open = opening('CONNECT id=dev');

/** Counts the runs that leave for each side. */
function runs(stage: Stage): { node: number[]; device: number[] } {
  const seen = { node: [] as number[], device: [] as number[] };
  const { output } = stage;
  output.toNode = (_bytes, start, end) => seen.node.push(end - start);
  output.toDevice = (_bytes, start, end) => seen.device.push(end - start);
  return seen;
}

function feed(stage: Stage, side: 'fromDevice' | 'fromNode', bytes: Uint8Array, ...cuts: number[]): void {
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    stage.session[side](bytes, from, to);
    from = to;
  }
}

it('passes packets that need no change on as one run of the buffer they came in', () => {
  const stage = play(4, open);
  const seen = runs(stage);
  const packets = ['PUBLISH a=0', 'PUBLISH #1 q1 a=1', 'PINGREQ', 'SUBSCRIBE #2 a:1'].map((text) =>
    bytesOf(text, 4),
  );
  const bytes = Buffer.concat(packets);
  feed(stage, 'fromDevice', bytes);
  expect(seen.node).toEqual([bytes.length]);
});

it('sends packets of its own together, with what is passed on between them', () => {
  const stage = play(
    4,
    `${open}
    node>   PUBLISH #1 q1 a=old | PUBLISH #2 q1 a=old
    >device PUBLISH #1 q1 a=old
    >device PUBLISH #2 q1 a=old
    ${moving('CONNECT id=dev')}
    node>   CONNACK present
    ${shared}`,
  );
  const seen = runs(stage);
  const news = ['PUBLISH #1 q1 a=new', 'PUBLISH a=zero', 'PUBLISH #2 q1 a=new'].map((text) =>
    bytesOf(text, 4),
  );
  const large = bytesOf(`PUBLISH #3 q1 a=${'x'.repeat(1000)}`, 4);
  const bytes = Buffer.concat([...news, large, ...news.slice(1, 2)]);
  feed(stage, 'fromNode', bytes);
  const small = Buffer.concat(news).length;
  expect(seen.device).toEqual([small, bytes.length - small]);
});

it('breaks with a node that wants ever more answers behind a message that takes its time', () => {
  const stage = play(
    4,
    `${open}
    node>   PUBLISH #1 q2 a=x
    >device PUBLISH #1 q2 a=x
    device> PUBREC #1
    >node   PUBREC #1
    ${moving('CONNECT id=dev')}
    node>   CONNACK present
    ${shared}`,
  );
  const seen = runs(stage);
  feed(stage, 'fromDevice', bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4).subarray(0, 60));
  const again = bytesOf('PUBLISH #1 q2 dup a=x', 4);
  for (let i = 0; i < 5000; i++) feed(stage, 'fromNode', again);
  expect(seen.node).toEqual([60]);
  expect(stage.events.at(-1)).toEqual({
    kind: 'node-fault',
    detail: 'too many packets behind one that takes long',
  });
});

it('streams a QoS 0 message from the device, and keeps its own packets out of the middle of it', () => {
  const stage = play(
    4,
    `${open}
    node>   PUBLISH #1 q1 b=again
    >device PUBLISH #1 q1 b=again
    ${moving('CONNECT id=dev')}
    node>   CONNACK present
    ${shared}
    device> PUBACK #1`,
  );
  const seen = runs(stage);
  const bytes = bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4);
  feed(stage, 'fromDevice', bytes.subarray(0, 60), 1, 2, 40);
  expect(seen.node).toEqual([2, 38, 20]);
  expect(stage.session.midPublish).toBe(true);
  feed(stage, 'fromNode', bytesOf('PUBLISH #1 q1 dup b=again', 4));
  expect(seen.node).toHaveLength(3);
  feed(stage, 'fromDevice', bytes.subarray(60));
  expect(seen.node).toEqual([2, 38, 20, bytes.length - 60 + 4]);
});

it('does not ask a node for a sign of life while it is in the middle of such a message, which may take long', () => {
  const stage = play(4, open);
  const bytes = bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4);
  feed(stage, 'fromDevice', bytes.subarray(0, 60));
  const seen = runs(stage);
  stage.session.pingNode();
  expect(stage.session.pingUnanswered).toBe(false);
  feed(stage, 'fromDevice', bytes.subarray(60));
  expect(seen.node).toEqual([bytes.length - 60]);
  stage.session.pingNode();
  expect(stage.session.pingUnanswered).toBe(true);
});

it('does not go on with it on the next link', () => {
  const stage = play(4, open);
  const bytes = bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4);
  feed(stage, 'fromDevice', bytes.subarray(0, 60));
  stage.session.detached();
  stage.session.connectPacket();
  feed(stage, 'fromNode', bytesOf('CONNACK present', 4));
  const seen = runs(stage);
  feed(stage, 'fromDevice', Buffer.concat([bytes.subarray(60), bytesOf('PUBLISH a=next', 4)]));
  expect(seen.node).toEqual([bytesOf('PUBLISH a=next', 4).length]);
});

it('keeps a packet for the device until it is whole, so that a crash leaves no half of it there', () => {
  const stage = play(4, open);
  const seen = runs(stage);
  const bytes = bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4);
  feed(stage, 'fromNode', bytes.subarray(0, 60));
  expect(seen.device).toEqual([]);
  expect(stage.session.detached()).toBe(true);
  expect(stage.session.facts.rememberedBytes).toBe(0);
});

it('streams a QoS 0 message beyond the bound, during which the session cannot move', () => {
  const stage = play(4, open);
  const seen = runs(stage);
  const bytes = bytesOf(`PUBLISH a=${'x'.repeat(options.maxPacketBytes)}`, 4);
  feed(stage, 'fromNode', bytes.subarray(0, 1000));
  expect(seen.device).toEqual([1000]);
  expect(stage.session.immovable).toBe('mid-delivery');
  feed(stage, 'fromNode', bytes.subarray(1000));
  expect(stage.session.immovable).toBeUndefined();
  feed(stage, 'fromNode', bytes.subarray(0, 1000));
  expect(stage.session.detached()).toBe(false);
});

it('takes no larger packet from the device [MQTT-3.1.2-24]', () => {
  const large = 'x'.repeat(options.maxPacketBytes);
  play(
    5,
    `${opening('CONNECT id=dev')}
      device> PUBLISH #1 q1 a=${large}
      >device DISCONNECT code=149
      event   end code=149 why=packet-too-large`,
  );
});
