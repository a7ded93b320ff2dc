import { describe } from 'vitest';
import { engineContract } from './engine.ts';

describe('the epoll engine', () => engineContract('epoll'));
