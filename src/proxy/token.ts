import { closeSync } from 'node:fs';
import { createToken, takeByte } from '../engine/linux/descriptor-socket.ts';

/** What tells which of two processes has a batch of connections: the one that takes it. */
export const token = { create: createToken, take: takeByte, close: closeSync };
