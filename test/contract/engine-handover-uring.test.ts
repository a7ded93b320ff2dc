import { describe } from 'vitest';
import { loadUring } from '../../src/engine/uring/load.ts';
import { handOverContract } from './engine-handover.ts';
import { tlsHandOverContract } from './engine-handover-tls.ts';

describe.runIf(loadUring().available)('the uring engine', () => {
  handOverContract('uring');
  describe('by TLS', () => tlsHandOverContract('uring'));
});
