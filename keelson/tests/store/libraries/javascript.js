// What programs do with the JavaScript library etcd3, which is built on @grpc/grpc-js.

const assert = require('assert');
const { Etcd3 } = require('etcd3');

async function main() {
  const hosts = `http://${process.argv[2]}:${process.argv[3]}`;
  const client = new Etcd3({ hosts });
  await client.put('js/a').value('1');
  await client.put('js/b').value('2');
  assert.strictEqual(await client.get('js/a').string(), '1');
  assert.deepStrictEqual(await client.getAll().prefix('js/').strings(), { 'js/a': '1', 'js/b': '2' });
  const done = await client.if('js/a', 'Value', '==', '1').then(client.put('js/a').value('3')).commit();
  assert(done.succeeded);

  const lease = client.lease(60);
  await lease.put('js/leased').value('x');
  await lease.keepaliveOnce();
  await lease.revoke();
  assert.strictEqual(await client.get('js/leased').string(), null);

  const watcher = await client.watch().prefix('js/w').create();
  const seen = new Promise((resolve) => watcher.on('put', (kv) => resolve(kv.value.toString())));
  await client.put('js/w').value('seen');
  assert.strictEqual(await seen, 'seen');
  await watcher.cancel();

  await client.lock('js').do(async () => assert((await client.getAll().prefix('js').keys()).length > 0));
  const election = client.election('js-election', 10);
  const campaign = election.campaign('first');
  await new Promise((resolve, reject) => campaign.on('elected', resolve).on('error', reject));
  assert.strictEqual(await election.leader(), 'first');
  await campaign.resign();
  assert.strictEqual((await client.cluster.memberList({ linearizable: true })).members.length, 1);

  const role = client.role('js');
  await role.create();
  await role.grant({ permission: 'Readwrite', key: 'js/a' });
  const user = client.user('js');
  await user.create('pw');
  await user.addRole('js');
  const root = client.user('root');
  await root.create('pw');
  await root.addRole('root');
  await client.auth.authEnable();
  const allowed = new Etcd3({ hosts, auth: { username: 'js', password: 'pw' } });
  assert.strictEqual(await allowed.get('js/a').string(), '3');
  await assert.rejects(allowed.put('js/b').value('x').exec(), /permission denied/);
  const roots = new Etcd3({ hosts, auth: { username: 'root', password: 'pw' } });
  await roots.auth.authDisable();
  await client.delete().prefix('js/');
  for (const one of [client, allowed, roots]) {
    one.close();
  }
  console.log('done');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
