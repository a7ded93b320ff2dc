import { describe } from 'vitest';
import { tlsContract } from './engine-tls.ts';
import { tlsLinksContract } from './engine-tls-links.ts';

describe('epoll engine with records of OpenSSL', () => {
  tlsContract('epoll', 'openssl');
  tlsLinksContract('epoll', 'openssl');
});
