import { startBroker } from '../../../cluster/broker.ts';
import { clusterOfParent } from '../../../cluster/over-ipc.ts';

/** One broker of the demo, as a process of its own: it can be killed from outside. Its arguments are its name and its port. */

const [id = '', port = '0'] = process.argv.slice(2);

process.title = `breakwater demo: ${id}`;
process.on('SIGINT', () => {}); // Ctrl-C reaches the whole group; the demo stops its devices first, and then us
process.on('disconnect', () => process.exit(0));

const broker = await startBroker({ host: '127.0.0.1', port: Number(port), id, cluster: clusterOfParent() });
process.send?.({ listening: broker.url });
