import { expect } from 'vitest';
import { decodeConnect } from '../../../src/protocol/mqtt/connect.ts';
import {
  Session,
  type SessionEvent,
  type SessionOptions,
  type SessionOutput,
} from '../../../src/session/index.ts';
import { bytesOf, linesOf, type Version } from './packet-text.ts';

export const options: SessionOptions = {
  maxPacketBytes: 4096,
  maxOfflineBytes: 4096,
  maxInflightBytes: 4096,
  packetsPerCall: 4096,
  maxStateBytes: 4096,
  clientId: 'chosen',
  takeoverFiresWill: true,
  leavesFirst: false,
  isPaced: false,
  now: () => 0,
};

/**
 * A session between a device and its nodes. What is said to it goes in at once or in pieces of `chunk` bytes, from a
 * scratch buffer that is overwritten afterwards, as an engine's is; what it says comes out as lines of text.
 */
export class Stage {
  readonly version: Version;
  readonly session: Session;
  /** Where the session's bytes go; a test may listen for itself. */
  readonly output: SessionOutput;
  readonly events: SessionEvent[] = [];
  /** Does the device not read what it is sent? */
  isBehind = false;
  private readonly chunk: number;
  private nodeBytes: Buffer[] = [];
  private deviceBytes: Buffer[] = [];
  private lines: string[] = [];

  constructor(version: Version, connect: string, overrides: Partial<SessionOptions> = {}, chunk = 1 << 20) {
    this.version = version;
    this.chunk = chunk;
    const raw = bytesOf(connect, version);
    const result = decodeConnect(raw, 0, raw.length, 1 << 20);
    if (result.kind !== 'connect') throw new Error(`not a CONNECT: ${connect}`);
    this.output = {
      isDeviceBehind: () => this.isBehind,
      toNode: (bytes, start, end) => this.nodeBytes.push(Buffer.from(bytes.subarray(start, end))),
      toDevice: (bytes, start, end) => this.deviceBytes.push(Buffer.from(bytes.subarray(start, end))),
      event: (event) => {
        this.events.push(event);
        this.lines.push(`event   ${eventText(event)}`);
      },
    };
    this.session = new Session(result.connect, raw, { ...options, ...overrides }, this.output);
    raw.fill(0xee);
  }

  /** Says one line of a transcript; returns it and all that comes of it. */
  say(line: string): string[] {
    const [, who = '', what = ''] = /^(\S+)\s*(.*)$/.exec(line) ?? [];
    if (who === 'link') this.nodeBytes.push(Buffer.from(this.session.connectPacket()));
    else if (who === 'ask') this.nodeBytes.push(Buffer.from(this.session.ask()));
    else if (who === 'turn') this.session.turn();
    else if (who === 'withhold') this.session.withhold();
    else if (who === 'release') this.session.release();
    else if (who === 'refused') this.session.refused();
    else if (who === 'lost') {
      this.session.nodeGone();
      this.session.detached();
    } else if (who === 'left') this.session.detached();
    else if (who === 'ping') this.session.pingNode();
    else if (who === 'end') this.session.endDevice(Number(what) as 0x8b);
    else if (who === 'device>') this.feed(what, (b, s, e) => this.session.fromDevice(b, s, e));
    else if (who === 'node>') this.feed(what, (b, s, e) => this.session.fromNode(b, s, e));
    else throw new Error(`not understood: ${line}`);
    this.takeTurns();
    return [line, ...this.heard()];
  }

  private feed(what: string, into: (bytes: Uint8Array, start: number, end: number) => void): void {
    const bytes = Buffer.concat(what.split(' | ').map((text) => bytesOf(text, this.version)));
    for (let at = 0; at < bytes.length; at += this.chunk) {
      const piece = bytes.subarray(at, at + this.chunk);
      const scratch = Buffer.alloc(piece.length + 7, 0xee);
      piece.copy(scratch, 3);
      into(scratch, 3, 3 + piece.length);
      scratch.fill(0xdd);
      this.takeTurns();
    }
  }

  /** As the loop does, until nothing is left. */
  private takeTurns(): void {
    while (this.session.hasDeviceRest || this.session.hasNodeRest) {
      this.session.goOnNode();
      this.session.goOnDevice();
    }
  }

  private heard(): string[] {
    const node = linesOf(Buffer.concat(this.nodeBytes), this.version).map((text) => `>node   ${text}`);
    const device = linesOf(Buffer.concat(this.deviceBytes), this.version).map((text) => `>device ${text}`);
    const heard = [...node, ...device, ...this.lines];
    this.nodeBytes = [];
    this.deviceBytes = [];
    this.lines = [];
    return heard;
  }
}

function eventText(event: SessionEvent): string {
  const { kind, ...rest } = event;
  const details = Object.entries(rest).filter(([name, value]) => name !== 'packet' && value !== undefined);
  return [kind, ...details.map(([name, value]) => `${name}=${value}`)].join(' ');
}

/** Bytes of a piece, and packets of a call. The last one leaves the stage to the test. */
const runs = [
  [1, 4096],
  [1 << 20, 1],
  [1 << 20, 4096],
] as const;

/**
 * Plays a transcript and expects exactly what it says, with all bytes at once, one at a time, and one packet a call.
 *
 *   device> X   the device sends X (several: `X | Y`)     >node   X   which the node gets
 *   node>   X   the node sends X                          >device X   which the device gets
 *   link        a new link opens                          event   …   which the owner is told
 *   lost        the link is lost
 *   left        the link is left for another, while its node still has the session
 *   withhold    its node says nothing                     release     it does
 *   ask         another node is asked meanwhile           turn        and has the session
 *   -- text     is for who reads: the first line of a longer transcript tells its story
 */
export function play(version: Version, script: string, overrides: Partial<SessionOptions> = {}): Stage {
  const wanted = script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('--'))
    .map((line) => line.replace(/^(>?\w+>?)\s+/, (_, who: string) => `${who.padEnd(7)} `));
  const first = wanted[0] ?? '';
  let stage: Stage | undefined;
  for (const [chunk, packetsPerCall] of runs) {
    stage = new Stage(version, first.replace(/^device>\s*/, ''), { packetsPerCall, ...overrides }, chunk);
    const said = wanted.slice(1).filter((line) => !/^(>|event)/.test(line));
    const heard = said.flatMap((line) => (stage as Stage).say(line));
    expect([first, ...heard].join('\n')).toBe(wanted.join('\n'));
  }
  return stage as Stage;
}

/** The lines of a first CONNECT that a node accepts. */
export function opening(connect: string, connack = 'CONNACK'): string {
  return `
    device> ${connect}
    link
    >node   ${connect}
    node>   ${connack}
    >device ${connack}
    event   accepted sessionPresent=${connack.includes('present')}`;
}

/** The lines of a link that is left and the next one, up to the CONNECT there. */
export function moving(connect: string): string {
  return `
    left
    link
    >node   ${connect.replace(' clean', '')}`;
}

/** Those of a link that is lost. */
export function losing(connect: string): string {
  return `
    lost
    link
    >node   ${connect}`;
}

export const shared = 'event   resumed sessionPresent=true leftBehind=false';
export const rebuilt = 'event   resumed sessionPresent=false leftBehind=false';
