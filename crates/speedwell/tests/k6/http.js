// Requests that block, as those of k6 do: another thread sends them.
import { MessageChannel, Worker, receiveMessageOnPort } from 'node:worker_threads';

const SENDER = `
const { workerData, parentPort } = require('node:worker_threads');
const http = require('node:http');
const { port, done } = workerData;
const agent = new http.Agent({ keepAlive: true });
parentPort.on('message', ({ method, url, body, headers }) => {
  const finish = (answer) => {
    port.postMessage(answer);
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
  };
  const request = http.request(url, { method, headers, agent }, (answer) => {
    const pieces = [];
    answer.on('data', (piece) => pieces.push(piece));
    answer.on('end', () => finish({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces).toString() }));
  });
  request.on('error', (error) => finish({ status: 0, headers: {}, body: null, error: error.message }));
  request.end(body === null ? undefined : Buffer.from(body));
});
`;
const done = new Int32Array(new SharedArrayBuffer(4));
const { port1, port2 } = new MessageChannel();
const worker = new Worker(SENDER, { eval: true, workerData: { port: port2, done }, transferList: [port2] });
worker.unref();

function request(method, url, body, params) {
  if (!(params.jar instanceof CookieJar)) throw new Error('a user must begin without cookies');
  Atomics.store(done, 0, 0);
  worker.postMessage({ method, url, body, headers: params.headers });
  Atomics.wait(done, 0, 0, 10000);
  const answer = receiveMessageOnPort(port1);
  return answer ? answer.message : { status: 0, headers: {}, body: null };
}

class CookieJar {}

export default { request, CookieJar, expectedStatuses: (...statuses) => statuses };
