"""What programs do with the Python library etcd3: every assertion is about the library's own view."""

import sys
import threading

import etcd3

host, port = sys.argv[1], int(sys.argv[2])
client = etcd3.client(host=host, port=port, timeout=10)

client.put("python/a", "1")
client.put("python/b", "2")
assert client.get("python/a")[0] == b"1"
assert [value for value, _ in client.get_prefix("python/")] == [b"1", b"2"]
assert client.get_response("python/", serializable=True).count == 0
keys = [meta.key for _, meta in client.get_prefix("python/", sort_order="descend", keys_only=True)]
assert keys == [b"python/b", b"python/a"]
assert client.replace("python/a", "1", "3") and not client.replace("python/a", "1", "4")
assert client.put_if_not_exists("python/c", "5") and not client.put_if_not_exists("python/c", "6")
succeeded, answers = client.transaction(
    compare=[client.transactions.value("python/a") == "3", client.transactions.version("python/x") == 0],
    success=[client.transactions.put("python/t", "7"), client.transactions.get("python/t")],
    failure=[],
)
assert succeeded and answers[1][0][0] == b"7"

lease = client.lease(60)
client.put("python/leased", "x", lease=lease)
assert lease.granted_ttl == 60 and 0 < lease.remaining_ttl <= 60
assert list(lease.keys) == [b"python/leased"]
assert lease.refresh()[0].TTL == 60
lease.revoke()
assert client.get("python/leased")[0] is None

seen, enough = [], threading.Event()


def note(response):
    seen.extend(event.value for event in response.events)
    if len(seen) >= 2:
        enough.set()


watch = client.add_watch_prefix_callback("python/w", note)
client.put("python/w1", "first")
client.put("python/w2", "second")
assert enough.wait(10), seen
client.cancel_watch(watch)
assert seen == [b"first", b"second"], seen

with client.lock("python", ttl=10) as lock:
    assert lock.is_acquired()

assert len(list(client.members)) == 1
assert client.status().leader is not None
client.compact(client.get("python/a")[1].mod_revision)
assert client.hash() is not None
assert client.delete("python/c") and not client.delete("python/c")
assert client.delete_prefix("python/").deleted >= 5
print("done")
