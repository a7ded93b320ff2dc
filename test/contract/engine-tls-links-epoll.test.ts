import { describe } from 'vitest';
import { tlsLinksContract } from './engine-tls-links.ts';

describe('epoll engine', () => tlsLinksContract('epoll'));
