import { describe } from 'vitest';
import { tlsPolicyContract } from './engine-tls-policy.ts';

describe('epoll engine', () => tlsPolicyContract('epoll'));
