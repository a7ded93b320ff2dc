import { describe } from 'vitest';
import { handOverContract } from './engine-handover.ts';
import { tlsHandOverContract } from './engine-handover-tls.ts';

describe('the epoll engine', () => {
  handOverContract('epoll');
  describe('by TLS', () => tlsHandOverContract('epoll'));
});
