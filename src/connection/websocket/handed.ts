/** A WebSocket as a plain value, which another process goes on with: its formats. */

import { z } from 'zod';
import { bytes, maybe } from '../../base/handed-shapes.ts';
import { MAX_CONTROL_BYTES, MAX_FRAME_BYTES } from './protocol.ts';

const byte = z.int().min(0).max(0xff);

/** What a frame's next byte is, by the numbers of `frame-reader.ts`: from the second length on it has a count of bytes to come. */
const COUNTED = [2, 3];

/** Of the class `FrameReader`. */
const frameReader = z
  .strictObject({
    expects: z.int().min(0).max(4),
    flags: byte,
    missing: z.int().min(0).max(8),
    length: z.int().min(0),
    /** Signed. */
    key: z.int32(),
    done: z.int().min(0),
    payload: bytes.refine(({ length }) => length <= MAX_CONTROL_BYTES),
    isMidMessage: z.boolean(),
  })
  .refine(({ expects, missing, length, done }) => {
    if (expects > 2 && length > MAX_FRAME_BYTES) return false;
    return done <= length && (missing > 0 || !COUNTED.includes(expects));
  });

const request = z.strictObject({
  path: z.string(),
  host: z.string(),
  origin: maybe(z.string()),
  preferredNode: z.string().optional(),
});

/** Of the class `WebSocketLayer`; `head` until the request is whole, `reader` from then on. */
export const webSocketShape = {
  kind: z.literal('websocket'),
  request: maybe(request),
  head: maybe(bytes),
  reader: maybe(frameReader),
  spliced: z.int().min(-1),
  pongsWaiting: z.int().min(0),
};

export type HandedFrameReader = z.output<typeof frameReader>;
