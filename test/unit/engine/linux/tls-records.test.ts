import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAead } from '../../../../src/engine/linux/evp.ts';
import { EAGAIN, EPROTO } from '../../../../src/engine/linux/libc.ts';
import { RETRY } from '../../../../src/engine/linux/socket-state.ts';
import { createSocketTable, type SocketTable } from '../../../../src/engine/linux/socket-table.ts';
import { TlsRecords } from '../../../../src/engine/linux/tls-records.ts';
import { BAD_RECORD_MAC, FATAL } from '../../../../src/protocol/tls-record/alerts.ts';
import { readSnapshot } from '../../../../src/protocol/tls-record/snapshot.ts';
import * as is from '../../../../src/protocol/tls-record/state.ts';
import { READ, STATE_BYTES } from '../../../../src/protocol/tls-record/state.ts';
import {
  establish,
  hmac,
  libc,
  RecordEnd,
  type Suite,
  suiteName,
  suites,
} from '../../../support/tls-records.ts';

const FD = 5;
const READ_BYTES = 65_536;
/** What one story may carry. */
const CAPACITY = 700_000;

/** One connection of the engine on a socket of ours. */
class Host {
  /** Arrived, and not read. */
  inbound: Buffer = Buffer.alloc(0);
  sent: Buffer = Buffer.alloc(0);
  /** Bytes that the kernel still takes. */
  room = 1_000_000;
  isEnded = false;
  records: TlsRecords;
  readonly table: SocketTable;
  private readonly scratch = libc.pin(READ_BYTES);
  private readonly waitingMemory = libc.pin(1_000_000);
  private waitingFrom = 0;
  private waitingTo = 0;
  private readonly kernel = {
    ...libc,
    recv: (_fd: number, address: number, length: number): number => {
      const got = Math.min(length, this.inbound.length);
      if (got === 0) return this.isEnded ? 0 : -EAGAIN;
      copyOut(this.inbound.subarray(0, got), address);
      this.inbound = this.inbound.subarray(got);
      return got;
    },
    send: (_fd: number, address: number, length: number): number => {
      const taken = Math.min(length, this.room);
      if (taken === 0) return -EAGAIN;
      this.room -= taken;
      this.sent = Buffer.concat([this.sent, copyIn(address, taken)]);
      return taken;
    },
  };

  constructor(suite: Suite, options?: Parameters<typeof establish>[3]) {
    this.table = createSocketTable(16);
    this.table.states.enterDevice(FD);
    this.table.states.attachTls(FD);
    this.records = this.fresh();
    this.records.begin(FD);
    establish(this.records.of(FD), suite, false, options);
  }

  private fresh(): TlsRecords {
    return new TlsRecords(this.kernel, this.table, createAead(libc), hmac, READ_BYTES, (fd) =>
      this.table.states.awaitRetry(fd),
    );
  }

  /** Goes on in another engine, by way of bytes. */
  travel(): void {
    const bytes = this.records.describe(FD);
    this.records.free(FD);
    this.records.close();
    this.records = this.fresh();
    expect(this.records.attach(FD, bytes)).toBe(true);
    bytes.fill(0);
  }

  /** What is read until nothing is there, and the result that says so. */
  read(): { data: Buffer; end: number } {
    const parts: Buffer[] = [];
    for (;;) {
      this.table.states.report(FD, this.isEnded, false);
      const got = this.records.read(FD, this.scratch);
      if (got <= 0) return { data: Buffer.concat(parts), end: got };
      parts.push(Buffer.from(this.scratch.bytes.subarray(0, got)));
    }
  }

  /** As the writer and the outbox do: what was not taken is offered again, and first. */
  write(data: Uint8Array): number {
    if (this.waitingFrom === this.waitingTo) this.waitingFrom = this.waitingTo = 0;
    this.waitingMemory.bytes.set(data, this.waitingTo);
    this.waitingTo += data.length;
    return this.drain();
  }

  /** Bytes that wait. */
  drain(): number {
    while (this.waitingFrom < this.waitingTo) {
      const taken = this.records.write(
        FD,
        this.waitingMemory.address + this.waitingFrom,
        this.waitingTo - this.waitingFrom,
      );
      if (taken < 0) break;
      this.waitingFrom += taken;
    }
    return this.waitingTo - this.waitingFrom;
  }
}

const { copy } = await import('../../../../src/engine/linux/openssl.ts').then(({ loadOpenSsl }) =>
  loadOpenSsl(),
);
const transfer = libc.pin(1_000_000);
function copyOut(bytes: Uint8Array, address: number): void {
  transfer.bytes.set(bytes);
  copy(address, transfer.address, bytes.length);
}
function copyIn(address: number, length: number): Buffer {
  copy(transfer.address, address, length);
  return Buffer.from(transfer.bytes.subarray(0, length));
}

type Step =
  | { kind: 'peer sends'; bytes: number }
  | { kind: 'peer changes keys'; asks: boolean }
  | { kind: 'peer ends' }
  | { kind: 'peer breaks' }
  | { kind: 'arrive'; bytes: number }
  | { kind: 'write'; bytes: number }
  | { kind: 'room'; bytes: number }
  | { kind: 'wear' }
  | { kind: 'close' };

const sizes = fc.oneof(fc.nat(40), fc.nat(3000), fc.nat(40_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('peer sends' as const), bytes: sizes }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('peer changes keys' as const), asks: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('arrive' as const), bytes: sizes }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('write' as const), bytes: sizes }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('room' as const), bytes: sizes }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'wear' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'close' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'peer ends' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'peer breaks' as const }) },
);

/** One side of the story; the peer's part is told once, and heard by all hosts alike. */
function play(host: Host, what: Step, arriving: Buffer, serial: number): unknown {
  switch (what.kind) {
    case 'arrive': {
      host.inbound = Buffer.concat([host.inbound, arriving]);
      return host.read();
    }
    case 'write':
      return host.write(Buffer.alloc(what.bytes, serial));
    case 'room':
      host.room = what.bytes;
      return [host.drain(), host.read()];
    case 'close':
      return host.records.closeNotify(FD);
    case 'wear':
      wear(host);
      return undefined;
    default:
      return undefined;
  }
}

/** Has its key sealed nearly all that it may. */
function wear(host: Host): void {
  const bytes = host.records.describe(FD);
  bytes.writeUInt32BE(4, is.WRITE + 100);
  host.records.free(FD);
  host.records.attach(FD, bytes);
}

describe.each(suites.map((suite) => [suiteName(suite), suite] as const))('%s', (_name, suite) => {
  it('written down and read in any reachable state behaves the same', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 40 }),
        fc.constantFrom(512, 16_384),
        (steps, fragmentLimit) => {
          const options = { fragmentLimit, tickets: 1 };
          const stays = new Host(suite, options);
          const travels = new Host(suite, options);
          const peer = new RecordEnd(suite, true, options, CAPACITY);
          let pending: Buffer = Buffer.alloc(0);
          for (const [serial, [what, moves]] of steps.entries()) {
            pending = Buffer.concat([pending, tell(peer, suite, what)]);
            const arriving = what.kind === 'arrive' ? pending.subarray(0, what.bytes) : Buffer.alloc(0);
            pending = pending.subarray(arriving.length);
            const results = [stays, travels].map((host) => play(host, what, arriving, serial));
            expect(results[1]).toEqual(results[0]);
            expect(travels.sent.equals(stays.sent)).toBe(true);
            if (moves) travels.travel();
          }
          expect(travels.records.describe(FD).equals(stays.records.describe(FD))).toBe(true);
          for (const host of [stays, travels]) host.records.close();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('carries all data both ways while it travels again and again', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sizes, sizes, sizes), { minLength: 1, maxLength: 12 }), (rounds) => {
        const host = new Host(suite);
        const peer = new RecordEnd(suite, true, undefined, CAPACITY);
        let up = Buffer.alloc(0);
        let down = Buffer.alloc(0);
        let heard = Buffer.alloc(0);
        let stream: Buffer = Buffer.alloc(0);
        for (const [serial, [bytes, piece, room]] of rounds.entries()) {
          const data = Buffer.alloc(bytes, serial);
          up = Buffer.concat([up, data]);
          stream = Buffer.concat([stream, peer.seal(data)]);
          host.inbound = stream.subarray(0, piece);
          stream = stream.subarray(piece);
          heard = Buffer.concat([heard, host.read().data]);
          host.room = room;
          down = Buffer.concat([down, data]);
          host.write(data);
          host.travel();
        }
        host.inbound = stream;
        host.room = 10_000_000;
        heard = Buffer.concat([heard, host.read().data]);
        expect(host.drain()).toBe(0);
        expect(heard.equals(up)).toBe(true);
        expect(peer.open(host.sent).data.equals(down)).toBe(true);
        host.records.close();
      }),
      { numRuns: 40 },
    );
  });

  it('tells a forged record from the peer by an alert, behind the data before it', () => {
    const host = new Host(suite);
    const other = new Host(suite, { seed: 9 });
    const peer = new RecordEnd(suite, true);
    const good = peer.seal(Buffer.from('good'));
    const bad = peer.seal(Buffer.from('bad'));
    bad[bad.length - 1] = (bad[bad.length - 1] as number) ^ 1;
    host.inbound = Buffer.concat([good, bad, peer.seal(Buffer.from('more'))]);
    const { data, end } = host.read();
    expect(data.toString()).toBe('good');
    expect(end).toBe(-EPROTO);
    const watched = new RecordEnd(suite, false);
    expect(host.sent).toEqual(
      watched.sealed((at) => watched.sealer.alert(watched.state, FATAL, BAD_RECORD_MAC, watched.out, at)),
    );
    const friend = new RecordEnd(suite, true, { seed: 9 });
    other.inbound = friend.seal(Buffer.from('unhurt'));
    expect(other.read().data.toString()).toBe('unhurt');
  });

  it('reads a record byte by byte, in memory that grows with what has come', () => {
    const host = new Host(suite);
    const peer = new RecordEnd(suite, true);
    const record = peer.seal(Buffer.alloc(2000, 7));
    for (const byte of record.subarray(0, -1)) {
      host.inbound = Buffer.from([byte]);
      expect(host.read()).toEqual({ data: Buffer.alloc(0), end: -EAGAIN });
    }
    host.inbound = record.subarray(-1);
    expect(host.read().data).toEqual(Buffer.alloc(2000, 7));
  });

  it('says close_notify when there is room, once', () => {
    const host = new Host(suite);
    host.room = 3;
    expect(host.records.closeNotify(FD)).toBe(false);
    expect((host.table.flags[FD] as number) & RETRY).toBe(RETRY);
    host.room = 1000;
    expect(host.records.closeNotify(FD)).toBe(true);
    expect(host.records.closeNotify(FD)).toBe(true);
    const peer = new RecordEnd(suite, true);
    peer.open(host.sent);
    expect(peer.state.has(is.CLOSE_READ)).toBe(true);
    expect(peer.state.fault).toBe(0);
  });

  it('reads FIN without close_notify as the end, also within a record', () => {
    const host = new Host(suite);
    const peer = new RecordEnd(suite, true);
    host.inbound = peer.seal(Buffer.from('cut')).subarray(0, -1);
    host.isEnded = true;
    expect(host.read()).toEqual({ data: Buffer.alloc(0), end: 0 });
  });
});

describe('the serialised form', () => {
  const written = () => new Host({ version: 'TLSv1.3', cipher: 1 }).records.describe(FD);

  it('is refused where it is none that is known', () => {
    const bytes = written();
    expect(readSnapshot(bytes)).toBeDefined();
    for (const wrong of [
      bytes.subarray(0, 100),
      Buffer.concat([bytes, Buffer.alloc(1)]),
      changed(bytes, 0, 2), // another form
      changed(bytes, 1, 4), // a cipher that does not exist
      changed(bytes, STATE_BYTES, 255), // a part longer than a record
      changed(bytes, STATE_BYTES + 4, 255),
      changed(bytes, 6, 0), // records of less than 512 bytes
    ]) {
      expect(readSnapshot(wrong)).toBeUndefined();
      const host = new Host({ version: 'TLSv1.3', cipher: 1 });
      expect(host.records.attach(FD, wrong)).toBe(false);
    }
  });

  it('of an idle connection has 268 bytes', () => {
    expect(written()).toHaveLength(268);
  });
});

function changed(bytes: Buffer, at: number, value: number): Buffer {
  const other = Buffer.from(bytes);
  other[at] = value;
  return other;
}

it('wipes the keys of a connection that is freed', () => {
  const host = new Host({ version: 'TLSv1.3', cipher: 2 });
  const state = host.records.describe(FD).subarray(0, STATE_BYTES);
  const secret = state.subarray(READ, READ + 48);
  expect(secret.some((byte) => byte !== 0)).toBe(true);
  host.records.free(FD);
  expect(host.records.has(FD)).toBe(false);
  host.records.begin(FD);
  const next = host.records.of(FD);
  expect(next.bytes.includes(secret)).toBe(false);
});

/** What a peer sends. */
function tell(peer: RecordEnd, suite: Suite, what: Step): Buffer {
  switch (what.kind) {
    case 'peer sends':
      return peer.seal(Buffer.alloc(what.bytes, 0x5a));
    case 'peer changes keys':
      if (suite.version === 'TLSv1.2') return Buffer.alloc(0);
      peer.state.set(is.UPDATE_OWED);
      if (what.asks) peer.state.bytes.writeUInt32BE(4, READ + 100); // its key to read with is worn
      return peer.sealed((at) => peer.sealer.owed(peer.state, peer.out, at));
    case 'peer ends':
      return peer.sealed((at) => peer.sealer.closeNotify(peer.state, peer.out, at));
    case 'peer breaks':
      return Buffer.from([23, 3, 3, 0, 40, ...Buffer.alloc(40)]);
    default:
      return Buffer.alloc(0);
  }
}
