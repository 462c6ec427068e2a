# shellcheck shell=bash
# Sourced by the scenarios: a target in the guest `solo` whose stop will hang, and what they ask the guest.

set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "FAILED: $*"; exit 1; }
guest() { timeout "$1" scripts/lab run solo "${@:2}"; } # SECONDS COMMAND...
agent() { # ACTION [NAME=VALUE...]: a shell line that calls the agent as Pacemaker would
    local action=$1
    shift
    echo "env OCF_RESOURCE_INSTANCE=lio OCF_RESKEY_config=/root/san.json OCF_RESKEY_CRM_meta_timeout=10000 $*" \
        "/usr/lib/ocf/resource.d/san/LIO $action"
}

# Builds, logs in, writes, suspends the device.
make_hang() {
    guest 120 "bash -s" <<END
set -e
dmsetup info hung >/dev/null 2>&1 || dmsetup create hung --table '0 65536 linear /dev/vdb 2048'
initiator=\$(sed -n 's/^InitiatorName=//p' /etc/iscsi/initiatorname.iscsi)
cat >/root/san.json <<JSON
{"storage_objects": [{"name": "d", "plugin": "block", "dev": "/dev/mapper/hung", "wwn": "77777777-368f-476b-815b-660f67eaac16"}],
 "targets": [{"wwn": "iqn.2016-12.net.example:hung", "fabric": "iscsi", "tpgs": [{"tag": 1, "attributes": {"authentication": 0},
   "luns": [{"index": 0, "storage_object": "/backstores/block/d"}], "portals": [{"ip_address": "127.0.0.1", "port": 3260}],
   "node_acls": [{"node_wwn": "\$initiator", "mapped_luns": [{"index": 0, "tpg_lun": 0}]}]}]}]}
JSON
chmod 600 /root/san.json
$(agent start)
systemctl start iscsid.socket iscsid
iscsiadm -m node -o new -T iqn.2016-12.net.example:hung -p 127.0.0.1:3260 >/dev/null
timeout 60 iscsiadm -m node -T iqn.2016-12.net.example:hung -p 127.0.0.1:3260 --login >/dev/null
for n in \$(seq 100); do
    disk=\$(ls -d /sys/class/iscsi_session/session*/device/target*/*:0/block/sd* 2>/dev/null) && break
    sleep 0.2
done
disk=/dev/\${disk##*/}
until [ -b \$disk ]; do sleep 0.2; done
setsid bash -c "while dd if=/dev/zero of=\$disk bs=16k count=64 oflag=direct conv=notrunc status=none; do :; done" </dev/null >/dev/null 2>&1 &
sleep 1
dmsetup suspend --noflush --nolockfs hung
sleep 1
END
}
