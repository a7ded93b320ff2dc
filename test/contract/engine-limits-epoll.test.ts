import { describe } from 'vitest';
import { engineLimits } from './engine-limits.ts';

describe('the limits of the epoll engine', () => engineLimits('epoll'));
