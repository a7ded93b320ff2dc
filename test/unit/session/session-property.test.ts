import fc from 'fast-check';
import { generate, type Packet, type Parser, parser } from 'mqtt-packet';
import { describe, expect, it } from 'vitest';
import { decodeConnect } from '../../../src/protocol/mqtt/connect.ts';
import type { HandedSession } from '../../../src/session/handed.ts';
import { handedSession } from '../../../src/session/handed-session.ts';
import { Session, type SessionOutput } from '../../../src/session/index.ts';
import {
  type BrokerRules,
  type BrokerSession,
  type Message,
  ModelBroker,
  newSession,
} from './model-broker.ts';
import { ModelDevice } from './model-device.ts';
import { options } from './transcript.ts';

interface Step {
  readonly what: (typeof steps)[number];
  /** Chooses whatever the step leaves open. */
  readonly die: number;
}

const steps = [
  'device publishes',
  'device answers',
  'device subscribes',
  'device pings',
  'a message comes for the device',
  'device bytes arrive',
  'node bytes arrive',
  'node works',
  'device listens',
  'link is lost',
  'link opens',
  'proxy pings',
  'the loop turns',
  'another process goes on',
] as const;

interface Scenario {
  readonly version: 4 | 5;
  /** What becomes of a session when its node dies. */
  readonly fate: 'shared' | 'lost' | 'shared or lost';
  readonly rules: BrokerRules;
  /** Receive Maximum of the second and every other later node. */
  readonly laterMaximum: number;
  readonly deviceMaximum: number;
  readonly packetsPerCall: number;
}

const TOPICS = ['a', 'b', 'c'];

/** A device, the session under test, and one node after the other; all in between are queues of bytes. */
class Scene {
  readonly device: ModelDevice;
  private readonly scenario: Scenario;
  private session: Session;
  private readonly again: (handed: HandedSession) => Session;
  private readonly toProxyFromDevice: Bytes = new Bytes();
  private readonly toProxyFromNode: Bytes = new Bytes();
  private readonly deviceReader: Parser;
  private nodeReader: Parser | undefined;
  private nodeInbox: Packet[] = [];
  private deviceInbox: Packet[] = [];
  private broker: ModelBroker | undefined;
  private state: BrokerSession | undefined;
  private links = 0;
  private numbers = 0;
  /** By nodes, of the device's; and for the device, by nodes. */
  private readonly accepted: Message[] = [];
  private readonly owed: Message[] = [];
  private readonly sent: Message[] = [];

  constructor(scenario: Scenario) {
    this.scenario = scenario;
    this.device = new ModelDevice(scenario.deviceMaximum, (packet) =>
      this.toProxyFromDevice.push(this.bytes(packet)),
    );
    this.deviceReader = parser({ protocolVersion: scenario.version });
    this.deviceReader.on('packet', (packet) => this.deviceInbox.push(packet));
    this.deviceReader.on('error', fail);
    const properties = scenario.version === 5 ? { receiveMaximum: scenario.deviceMaximum } : {};
    const connect = generate(
      {
        cmd: 'connect',
        clientId: 'dev',
        protocolVersion: scenario.version,
        clean: true,
        keepalive: 0,
        properties,
      },
      { protocolVersion: scenario.version },
    );
    const decoded = decodeConnect(connect, 0, connect.length, 1000);
    if (decoded.kind !== 'connect') throw new Error('CONNECT');
    const { packetsPerCall } = scenario;
    const large = { ...options, packetsPerCall, maxInflightBytes: 1 << 20, maxOfflineBytes: 1 << 20 };
    const output: SessionOutput = {
      toNode: (bytes, start, end) => this.nodeReader?.parse(Buffer.from(bytes.subarray(start, end))),
      toDevice: (bytes, start, end) => this.deviceReader.parse(Buffer.from(bytes.subarray(start, end))),
      isDeviceBehind: () => false,
      event: (event) => {
        if (event.kind !== 'accepted' && event.kind !== 'resumed') throw new Error(JSON.stringify(event));
      },
    };
    this.session = new Session(decoded.connect, connect, large, output);
    this.again = (handed) => Session.revive(decoded.connect, handed, large, output);
  }

  take({ what, die }: Step): void {
    switch (what) {
      case 'device publishes': {
        const message = {
          topic: TOPICS[die % 3] as string,
          qos: ((die >> 4) % 3) as 0 | 1 | 2,
          number: ++this.numbers,
        };
        if (this.device.connacks > 0 && this.device.publish(message)) this.sent.push(message);
        return;
      }
      case 'device answers':
        this.device.answer();
        return;
      case 'device subscribes': {
        const qos = (die >> 4) % 4;
        return this.device.subscribe(TOPICS[die % 3] as string, qos === 3 ? undefined : (qos as 0 | 1 | 2));
      }
      case 'device pings':
        return this.device.ping();
      case 'a message comes for the device': {
        const message = {
          topic: TOPICS[die % 3] as string,
          qos: ((die >> 4) % 3) as 0 | 1 | 2,
          number: ++this.numbers,
        };
        if (this.broker?.route(message)) this.owed.push(message);
        return;
      }
      case 'device bytes arrive':
        return this.toProxyFromDevice.pull(die, (b, s, e) => this.session.fromDevice(b, s, e));
      case 'node bytes arrive':
        return this.toProxyFromNode.pull(die, (b, s, e) => this.session.fromNode(b, s, e));
      case 'node works':
        for (const packet of this.nodeInbox.splice(0, 1 + (die % 3))) this.broker?.receive(packet);
        return;
      case 'device listens':
        for (const packet of this.deviceInbox.splice(0, 1 + (die % 3))) this.hear(packet);
        return;
      case 'link is lost':
        return this.lose(die);
      case 'link opens':
        return this.open(die);
      case 'proxy pings':
        return this.session.pingNode();
      case 'the loop turns':
        this.session.goOnNode();
        return this.session.goOnDevice();
      case 'another process goes on': {
        const handed = this.session.describe();
        if (handed === undefined) return;
        this.session.wipe();
        this.session = this.again(handedSession.parse(structuredClone(handed)));
      }
    }
  }

  /** An acknowledged message is one that a node has taken on. */
  private hear(packet: Packet): void {
    this.device.receive(packet);
    const last = this.device.acknowledged.at(-1);
    if (packet.cmd !== 'puback' && packet.cmd !== 'pubrec') return;
    if (!this.accepted.some(({ number }) => number === last?.number))
      throw new Error('acknowledged by no node');
  }

  private lose(die: number): void {
    if (this.broker === undefined || this.device.connacks === 0) return;
    this.broker = undefined;
    this.nodeReader = undefined;
    this.nodeInbox = [];
    this.toProxyFromNode.clear();
    if (!this.session.detached()) throw new Error('the device is left with half a packet');
    const { fate } = this.scenario;
    if (fate === 'shared' || (fate === 'shared or lost' && die < 128)) return;
    this.state = undefined;
    this.owed.length = 0; // rule 3: what only the dead node had is gone
  }

  private open(die: number): void {
    if (this.broker !== undefined) return;
    const present = this.state !== undefined;
    this.state ??= newSession(1 + (die % 20));
    const receiveMaximum =
      this.links++ % 2 === 0 ? this.scenario.rules.receiveMaximum : this.scenario.laterMaximum;
    const send = (packet: Packet) => this.toProxyFromNode.push(this.bytes(packet));
    const rules = { ...this.scenario.rules, receiveMaximum };
    this.broker = new ModelBroker(this.state, present, rules, send, (message) => this.accepted.push(message));
    this.nodeReader = parser({ protocolVersion: this.scenario.version });
    this.nodeReader.on('packet', (packet) => this.nodeInbox.push(packet));
    this.nodeReader.on('error', fail);
    this.nodeReader.parse(Buffer.from(this.session.connectPacket()));
  }

  /** Lets everything come to rest with a node that stays up. */
  settle(): void {
    this.open(1);
    for (let quiet = 0; quiet < 3; ) {
      const before = JSON.stringify([this.toProxyFromDevice.migration, this.toProxyFromNode.migration]);
      for (const what of steps.slice(5, 9)) for (let i = 0; i < 20; i++) this.take({ what, die: 255 });
      while (this.session.hasNodeRest || this.session.hasDeviceRest)
        this.take({ what: 'the loop turns', die: 0 });
      while (this.device.answer());
      const after = JSON.stringify([this.toProxyFromDevice.migration, this.toProxyFromNode.migration]);
      quiet = before === after ? quiet + 1 : 0;
    }
  }

  /** What must hold when all is at rest. */
  check(): void {
    const { device } = this;
    const shared = this.scenario.fate === 'shared';
    if (device.asked.size > 0) throw new Error(`never answered: ${JSON.stringify([...device.asked])}`);
    if (device.held.size > 0) throw new Error(`never finished: ${JSON.stringify([...device.held])}`);
    if (device.pings > 0) throw new Error('PINGREQ is never answered');
    same('subscriptions', [...device.subscriptions].sort(), [...(this.state?.subscriptions ?? [])].sort());
    inOrder('to the device', device.received);
    inOrder('to the nodes', this.accepted);
    for (const message of this.sent) {
      const times = this.accepted.filter(({ number }) => number === message.number).length;
      if (message.qos > 0 && times === 0) throw new Error(`lost from the device: ${message.number}`);
      if (message.qos === 2 && shared && times > 1) throw new Error(`QoS 2 taken twice: ${message.number}`);
    }
    for (const message of this.owed) {
      if (!device.received.some(({ number }) => number === message.number)) {
        throw new Error(`lost to the device: ${message.number}`);
      }
    }
    const twos = device.received.filter(({ qos }) => qos === 2).map(({ number }) => number);
    if (new Set(twos).size !== twos.length) throw new Error('QoS 2 received twice');
    const { fromDevice, toDevice, subscriptions } = this.session.facts;
    same('facts', [fromDevice, toDevice, subscriptions], [0, 0, device.subscriptions.size]);
  }

  private bytes(packet: Packet): Buffer {
    return generate(packet, { protocolVersion: this.scenario.version });
  }
}

/** A stream of bytes, taken in pieces of any size out of a scratch buffer that is overwritten afterwards. */
class Bytes {
  private waiting = Buffer.alloc(0);
  migration = 0;

  push(bytes: Buffer): void {
    this.waiting = Buffer.concat([this.waiting, bytes]);
  }

  pull(die: number, into: (bytes: Uint8Array, start: number, end: number) => void): void {
    const count = Math.min(this.waiting.length, die < 40 ? 1 + (die % 4) : 1 + die);
    if (count === 0) return;
    const scratch = Buffer.alloc(count + 2, 0xee);
    this.waiting.copy(scratch, 1, 0, count);
    this.waiting = this.waiting.subarray(count);
    this.migration += count;
    into(scratch, 1, 1 + count);
    scratch.fill(0xdd);
  }

  clear(): void {
    this.waiting = Buffer.alloc(0);
  }
}

function fail(error: unknown): never {
  throw error;
}

function same(what: string, left: unknown, right: unknown): void {
  if (JSON.stringify(left) !== JSON.stringify(right)) {
    throw new Error(`${what}: ${JSON.stringify(left)} is not ${JSON.stringify(right)}`);
  }
}

/** Per topic and QoS, each message's first appearance [MQTT-4.6.0-5]. Numbers only grow. */
function inOrder(where: string, messages: readonly Message[]): void {
  const last = new Map<string, number>();
  const seen = new Set<number>();
  for (const { topic, qos, number } of messages) {
    if (seen.has(number)) continue;
    seen.add(number);
    const key = `${topic} at QoS ${qos}`;
    if ((last.get(key) ?? 0) > number) throw new Error(`out of order ${where}: ${key}, ${number}`);
    last.set(key, number);
  }
}

const rare: ReadonlySet<string> = new Set(['link is lost', 'another process goes on']);
const frequent = steps.flatMap((what) => Array<typeof what>(rare.has(what) ? 1 : 3).fill(what));
const step: fc.Arbitrary<Step> = fc.record({ what: fc.constantFrom(...frequent), die: fc.nat(255) });
const script = fc.array(step, { minLength: 10, maxLength: 200, size: 'max' });

function scenario(fate: Scenario['fate']): fc.Arbitrary<Scenario> {
  return fc
    .record({
      version: fc.constantFrom<4 | 5>(4, 5),
      forgetsDup: fc.boolean(),
      receiveMaximum: fc.constantFrom(2, 5, 65_535),
      laterMaximum: fc.constantFrom(1, 3, 65_535),
      deviceMaximum: fc.constantFrom(1, 2, 5, 65_535),
      packetsPerCall: fc.constantFrom(1, 3, 4096),
    })
    .map(({ version, forgetsDup, receiveMaximum, laterMaximum, deviceMaximum, packetsPerCall }) => ({
      version,
      packetsPerCall,
      fate,
      rules: { forgetsDup, receiveMaximum: version === 5 ? receiveMaximum : 65_535 },
      laterMaximum: version === 5 ? laterMaximum : 65_535,
      deviceMaximum: version === 5 ? deviceMaximum : 65_535,
    }));
}

const numRuns = Number(process.env.BREAKWATER_PROPERTY_RUNS ?? 2000);

describe('whatever happens when, the device’s view keeps to the standard', () => {
  it.each([
    ['share sessions', 'shared'],
    ['share nothing', 'lost'],
    ['share sessions at times', 'shared or lost'],
  ] as const)('with nodes that %s', (_, fate) => {
    let stories = 0;
    fc.assert(
      fc.property(scenario(fate), script, (some, story) => {
        const scene = new Scene(some);
        for (const each of story) scene.take(each);
        scene.settle();
        scene.check();
        stories++;
      }),
      { numRuns },
    );
    expect(stories).toBe(numRuns);
  });
});
