import { describe } from 'vitest';
import { tlsContract } from './engine-tls.ts';

describe('epoll engine', () => tlsContract('epoll'));
