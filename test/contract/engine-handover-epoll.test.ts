import { describe } from 'vitest';
import { handOverContract } from './engine-handover.ts';

describe('the epoll engine', () => handOverContract('epoll'));
