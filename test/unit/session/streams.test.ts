import { describe, expect, it } from 'vitest';
import { type FrameHandler, Frames } from '../../../src/session/frames.ts';
import { bytesOf, linesOf } from './packet-text.ts';
import { moving, opening, options, play, Stage, shared } from './transcript.ts';

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
    device> SUBSCRIBE #1 a:1
    >node   SUBSCRIBE #1 a:1
    node>   SUBACK #1 1
    >device SUBACK #1 1
    ${moving('CONNECT id=dev')}
    node>   CONNACK
    >node   SUBSCRIBE #1 a:1
    node>   SUBACK #1 1
    event   resumed sessionPresent=false leftBehind=false`,
  );
  const seen = runs(stage);
  feed(stage, 'fromDevice', bytesOf(`PUBLISH a=${'x'.repeat(100)}`, 4).subarray(0, 60));
  const again = bytesOf('PUBLISH #1 q1 retain a=x', 4); // answers the replay, so that it is for us
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

it('says nothing to a node among bytes that are no packets: it would become part of them', () => {
  const stage = play(4, open);
  const seen = runs(stage);
  feed(stage, 'fromDevice', new Uint8Array(5).fill(0xff));
  stage.session.pingNode();
  expect([seen.node, stage.session.pingUnanswered]).toEqual([[5], false]);
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

const LARGE = 'x'.repeat(options.maxPacketBytes);
/** Pieces of a large packet, the first of which shows what it is. */
const CUTS = [1, 3, 200, 1000];

describe('a message of QoS 1 or 2 that is larger than may be kept', () => {
  /** Says it in pieces; the text of what came out at the other side. */
  function streamed(stage: Stage, side: 'fromDevice' | 'fromNode', packet: string): string[] {
    const seen: Buffer[] = [];
    const output = stage.output;
    output[side === 'fromDevice' ? 'toNode' : 'toDevice'] = (bytes, start, end) =>
      seen.push(Buffer.from(bytes.subarray(start, end)));
    feed(stage, side, bytesOf(packet, stage.version), ...CUTS);
    return linesOf(Buffer.concat(seen), stage.version);
  }

  it.each([
    [4, 'PUBLISH #1 q1 a=', 'PUBACK #1'],
    [4, 'PUBLISH #1 q2 a=', 'PUBREC #1'],
    [5, 'PUBLISH #1 q1 topicAlias:2 a=', 'PUBACK #1'],
  ] as const)('goes to the node as it comes; until it is answered the session stays (%i: %s)', (version, packet, answer) => {
    const stage = play(
      version,
      opening('CONNECT id=dev', version === 5 ? 'CONNACK topicAliasMaximum:5' : 'CONNACK'),
    );
    const said = streamed(stage, 'fromDevice', packet + LARGE);
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^PUBLISH #1 q[12] a=x{4096}/);
    expect([stage.session.immovable, stage.session.isTied]).toEqual(['mid-upload', true]);
    expect(stage.say(`node> ${answer}`).slice(1)).toEqual([`>device ${answer}`]);
    expect(stage.session.immovable).toBeUndefined();
    expect(stage.session.facts.rememberedBytes).toBeLessThan(400);
  });

  it('goes to the device as it comes, and is acknowledged by it', () => {
    const stage = play(4, open);
    expect(streamed(stage, 'fromNode', `PUBLISH #7 q1 a=${LARGE}`)).toEqual([`PUBLISH #7 q1 a=${LARGE}`]);
    expect(stage.say('device> PUBACK #7').slice(1)).toEqual(['>node   PUBACK #7']);
  });

  it('is not sent again to a device that has it, and bears an id that is free there', () => {
    for (const [again, comes] of [
      [`PUBLISH #7 q2 dup a=${LARGE}`, []],
      [`PUBLISH #7 q2 a=${LARGE}y`, [`PUBLISH #65535 q2 a=${LARGE}y`]],
    ] as const) {
      const stage = play(4, open);
      streamed(stage, 'fromNode', `PUBLISH #7 q2 a=${LARGE}`);
      for (const line of ['left', 'link', 'node> CONNACK present']) stage.say(line);
      expect(streamed(stage, 'fromNode', again)).toEqual(comes);
      expect(streamed(stage, 'fromNode', 'PUBLISH b=next')).toEqual(['PUBLISH b=next']);
      expect(stage.session.immovable).toBeUndefined();
    }
  });

  it('is dropped where it answers a replay, and acknowledged', () => {
    const stage = play(
      4,
      `${open}
      device> SUBSCRIBE #1 a:1
      >node   SUBSCRIBE #1 a:1
      node>   SUBACK #1 1
      >device SUBACK #1 1
      ${moving('CONNECT id=dev')}
      node>   CONNACK
      >node   SUBSCRIBE #1 a:1`,
    );
    expect(streamed(stage, 'fromNode', `PUBLISH #7 q1 retain a=${LARGE}`)).toEqual([]);
    expect(stage.say('node> SUBACK #1 1').slice(1)).toEqual([
      '>node   PUBACK #7',
      'event   resumed sessionPresent=false leftBehind=false',
    ]);
    expect(streamed(stage, 'fromNode', 'PUBLISH b=next')).toEqual(['PUBLISH b=next']);
  });

  it('gets its topic where the next node does not know its alias', () => {
    const stage = play(
      5,
      `${opening('CONNECT id=dev', 'CONNACK topicAliasMaximum:5')}
      device> PUBLISH topicAlias:2 a=x
      >node   PUBLISH a=x topicAlias:2
      ${moving('CONNECT id=dev')}
      node>   CONNACK present topicAliasMaximum:1
      ${shared}`,
    );
    expect(streamed(stage, 'fromDevice', `PUBLISH #1 q1 topicAlias:2 =${LARGE}`)).toEqual([
      `PUBLISH #1 q1 a=${LARGE}`,
    ]);
  });
});

it('passes any other packet from the device that is too large on, and follows the session no longer', () => {
  const stage = play(4, open);
  const seen = runs(stage);
  const filters = Array.from({ length: 300 }, (_, i) => `${'f'.repeat(20)}${i}:0`).join(' ');
  const bytes = bytesOf(`SUBSCRIBE #1 ${filters}`, 4);
  feed(stage, 'fromDevice', bytes, 100, 2000);
  expect(seen.node.reduce((sum, run) => sum + run, 0)).toBe(bytes.length);
  expect(stage.session.stays).toBe('not-understood');
});

it('does not read a device on whose large message waits for a node, and goes on with it then', () => {
  const stage = new Stage(4, 'CONNECT id=dev', { maxOfflineBytes: 2000 });
  stage.say('link');
  const bytes = bytesOf(`PUBLISH #1 q1 a=${LARGE}`, 4);
  feed(stage, 'fromDevice', bytes.subarray(0, 1000));
  expect(stage.session.holdsDevice).toBe(false);
  feed(stage, 'fromDevice', bytes.subarray(1000, 2000));
  expect(stage.session.holdsDevice).toBe(true);
  stage.say('node> CONNACK');
  expect(stage.session.holdsDevice).toBe(false);
  const seen = runs(stage);
  feed(stage, 'fromDevice', bytes.subarray(2000));
  expect(seen.node.reduce((sum, run) => sum + run, 0)).toBe(bytes.length);
});

it('looks at a large packet no more than its length asks for, in whatever pieces it comes', () => {
  const looks = (size: number) => {
    const frames = new Frames();
    let looked = 0;
    let begun = 0;
    const handler: FrameHandler<null> = {
      packet: () => {},
      unfinished: (_s, _bytes, at, _bodyAt, known) => {
        looked += known - at;
        return known - at >= 100_000 ? 'stream' : 'keep';
      },
      begin: (_s, _bytes, at, _bodyAt, known) => {
        begun = known - at;
      },
      piece: () => {},
      broken: () => {},
      rest: () => {},
      goesOn: () => true,
    };
    const packet = bytesOf(`PUBLISH a=${'x'.repeat(size)}`, 4);
    for (let at = 0; at < packet.length; at++) frames.feed(null, packet, at, at + 1, handler, 100_000);
    return [looked < 3 * Math.min(size, 100_000), begun];
  };
  expect(looks(16_000)).toEqual([true, 0]);
  expect(looks(400_000)).toEqual([true, 100_000]);
});

it('answers a bounded number of PINGREQs that a lost node has left unanswered', () => {
  const stage = play(4, open);
  feed(stage, 'fromDevice', Buffer.concat(Array.from({ length: 3000 }, () => bytesOf('PINGREQ', 4))));
  const seen = runs(stage);
  stage.session.detached();
  expect(seen.device).toEqual([2048]);
});

it('answers a flood of PINGREQs together while no node has it, and few of them to a device that does not read', () => {
  const stage = play(
    4,
    `${open}
    lost`,
  );
  const seen = runs(stage);
  const flood = Buffer.concat(Array.from({ length: 1000 }, () => bytesOf('PINGREQ', 4)));
  feed(stage, 'fromDevice', flood);
  expect(seen.device).toEqual([2000]);
  stage.isBehind = true;
  feed(stage, 'fromDevice', flood);
  feed(stage, 'fromDevice', flood);
  expect(seen.device).toEqual([2000, 32]);
  stage.isBehind = false;
  feed(stage, 'fromDevice', flood);
  expect(seen.device).toEqual([2000, 32, 2000]);
});

describe('what is no packet, and waits at its pace', () => {
  it('reaches the node as it came, and nothing that is not the device’s', () => {
    const stage = new Stage(4, 'CONNECT id=dev', { isPaced: true });
    for (const line of ['link', 'node> CONNACK']) stage.say(line);
    const heard: string[] = [];
    stage.output.toNode = (bytes, start, end) =>
      heard.push(Buffer.from(bytes.subarray(start, end)).toString('hex'));
    const pieces = ['30ffffffff01', '307f', '82', 'c000'];
    for (const piece of pieces) {
      stage.session.pause(true);
      const bytes = Buffer.from(piece, 'hex');
      stage.session.fromDevice(bytes, 0, bytes.length);
      stage.session.pause(false);
      stage.session.goOnDevice();
    }
    expect([heard, stage.session.hasDeviceRest]).toEqual([pieces, false]);
  });
});
