import { MAX_RECORD_BYTES, type Memory, RecordState, STATE_BYTES } from './state.ts';

/**
 * The serialised form of a TLS connection behind its handshake. Whoever reads it goes on where the other one stopped:
 *
 * | bytes | what |
 * | --- | --- |
 * | 256 | the state: keys, IVs, sequence numbers (`state.ts`; its first byte is the number of its form) |
 * | 4, big-endian | length of `unread` |
 * | 4, big-endian | length of `unsent` |
 * | 4, big-endian | `unsentData` |
 * | | `unread`: records that have come and were not opened; the last one may have come in part |
 * | | `unsent`: records that are sealed and not sent |
 *
 * It holds keys: whoever has it reads and forges what the connection carries. Fill it with zeros when it was used, and write it nowhere.
 */
interface RecordSnapshot {
  /** `STATE_BYTES`. */
  readonly state: Uint8Array;
  readonly unread: Uint8Array;
  readonly unsent: Uint8Array;
  /**
   * So many bytes, the first of those that wait to be sent on this connection, are sealed in what is unsent, or were sent
   * already: they are not to be sealed again.
   */
  readonly unsentData: number;
}

const HEAD_BYTES = STATE_BYTES + 12;
/** One batch, and what was owed before it. */
const MAX_UNSENT_BYTES = 65_536;

/** Copies; what it is made of may be wiped afterwards. */
export function writeSnapshot({ state, unread, unsent, unsentData }: RecordSnapshot): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES + unread.length + unsent.length);
  bytes.set(state);
  bytes.writeUInt32BE(unread.length, STATE_BYTES);
  bytes.writeUInt32BE(unsent.length, STATE_BYTES + 4);
  bytes.writeUInt32BE(unsentData, STATE_BYTES + 8);
  bytes.set(unread, HEAD_BYTES);
  bytes.set(unsent, HEAD_BYTES + unread.length);
  return bytes;
}

/** Views of what was written; undefined where these bytes are no such form, or one that this program does not know. */
export function readSnapshot(bytes: Uint8Array): RecordSnapshot | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const unread = buffer.readUInt32BE(STATE_BYTES);
  const unsent = buffer.readUInt32BE(STATE_BYTES + 4);
  const memory: Memory = { bytes: buffer, address: 0 };
  if (!new RecordState().use(memory, 0).isValid()) return undefined;
  if (unread >= MAX_RECORD_BYTES || unsent > MAX_UNSENT_BYTES) return undefined;
  if (bytes.length !== HEAD_BYTES + unread + unsent) return undefined;
  return {
    state: buffer.subarray(0, STATE_BYTES),
    unread: buffer.subarray(HEAD_BYTES, HEAD_BYTES + unread),
    unsent: buffer.subarray(HEAD_BYTES + unread),
    unsentData: buffer.readUInt32BE(STATE_BYTES + 8),
  };
}
