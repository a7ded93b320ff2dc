import { createAead, createHmac } from '../../src/engine/linux/evp.ts';
import { loadLibc, type Pinned } from '../../src/engine/linux/libc.ts';
import { beginTls12, beginTls13 } from '../../src/protocol/tls-record/key-schedule.ts';
import { RecordOpener } from '../../src/protocol/tls-record/open.ts';
import { RecordSealer } from '../../src/protocol/tls-record/seal.ts';
import {
  MAX_PLAINTEXT_BYTES,
  READ,
  RecordState,
  STATE_BYTES,
  WRITE,
} from '../../src/protocol/tls-record/state.ts';
import { aeadCiphers } from '../../src/protocol/tls-record/suites.ts';

/** Both ends of TLS connections behind a handshake that never was, for tests of records. */

export const libc = loadLibc();
export const aead = createAead(libc);
export const hmac = createHmac(libc);

export interface Suite {
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  /** Number of its cipher. */
  readonly cipher: number;
}

export const suites: readonly Suite[] = (['TLSv1.3', 'TLSv1.2'] as const).flatMap((version) =>
  aeadCiphers.map(({ number }) => ({ version, cipher: number })),
);

export const suiteName = ({ version, cipher }: Suite): string =>
  `${version} with ${aeadCiphers[cipher - 1]?.name}`;

/** Makes `state` one end of a connection; both ends are made of the same suite and seed. */
export function establish(
  state: RecordState,
  { version, cipher }: Suite,
  isClient: boolean,
  { seed = 1, fragmentLimit = MAX_PLAINTEXT_BYTES, tickets = 0 } = {},
): void {
  const found = aeadCiphers[cipher - 1];
  if (found === undefined) throw new Error(`no cipher ${cipher}`);
  const established = { cipher: found, isClient, fragmentLimit };
  const bytes = (first: number, length: number) => Buffer.alloc(length, first + seed);
  if (version === 'TLSv1.3') {
    const [client, server] = isClient ? ([WRITE, READ] as const) : ([READ, WRITE] as const);
    state.setSecret(client, bytes(1, 48), 0, 48);
    state.setSecret(server, bytes(2, 48), 0, 48);
    beginTls13(state, hmac, established, isClient ? 0 : tickets);
  } else {
    const master = libc.pin(48);
    master.bytes.fill(5 + seed);
    beginTls12(state, hmac, established, found.hash, master, Buffer.concat([bytes(4, 32), bytes(3, 32)]));
  }
}

/** One end by itself: what it is given to send comes out as records, and the other way round. */
export class RecordEnd {
  readonly state = new RecordState();
  readonly sealer = new RecordSealer(aead, hmac, libc.pin(8));
  private readonly memory = libc.pin(STATE_BYTES);
  private readonly opener = new RecordOpener(aead, hmac);
  private readonly input: Pinned;
  private readonly output: Pinned;

  /** @param capacity most bytes that it seals or opens at one time */
  constructor(suite: Suite, isClient: boolean, options?: Parameters<typeof establish>[3], capacity = 70_000) {
    this.input = libc.pin(capacity);
    this.output = libc.pin(capacity);
    this.state.use(this.memory, 0);
    establish(this.state, suite, isClient, options);
  }

  /** Records of data. */
  seal(data: Uint8Array): Buffer {
    this.input.bytes.set(data);
    return this.sealed((at) =>
      this.sealer.data(this.state, this.input.address, data.length, this.output, at),
    );
  }

  /** What one step of the sealer writes. */
  sealed(step: (at: number) => number, out = this.output): Buffer {
    return Buffer.from(out.bytes.subarray(0, step(0)));
  }

  get out() {
    return this.output;
  }

  /** The data in these records, and what is left over of them. */
  open(records: Uint8Array): { data: Buffer; rest: Buffer } {
    this.input.bytes.set(records);
    const length = this.opener.open(this.state, this.input, records.length, this.output);
    return {
      data: Buffer.from(this.output.bytes.subarray(0, length)),
      rest: Buffer.from(records.subarray(this.opener.consumed)),
    };
  }
}
