"""Makes a saveconfig.json of a given size: one target, every initiator sees every LUN. The attributes are those of a captured file, so
that everything that targetcli writes down is written to the kernel."""

import copy
import json
import uuid

IQN = "iqn.2016-09.com.example:bench"
PORTAL = ("192.0.2.1", 3260)  # LIO binds addresses that are not there yet


def device(number):
    return f"/dev/mapper/bench{number}"


def initiator(number):
    return f"iqn.1993-08.org.debian:01:bench{number:04}"


def make(template, luns, acls):
    """The file's content, from the captured one."""
    with open(template, encoding="utf-8") as file:
        captured = json.load(file)
    storage = captured["storage_objects"][0]
    tpg = captured["targets"][0]["tpgs"][0]
    node = tpg["node_acls"][0]

    def storage_object(n):
        made = copy.deepcopy(storage)
        # What depends on the captured machine's disks.
        for name in [a for a in made["attributes"] if a.startswith("hw_") or a in ("optimal_sectors", "queue_depth")]:
            del made["attributes"][name]
        made.update(name=f"bench{n}", dev=device(n), wwn=str(uuid.uuid5(uuid.NAMESPACE_OID, str(n))), plugin="block")
        return made

    def node_acl(a):
        made = copy.deepcopy(node)
        made["node_wwn"] = initiator(a)
        made["mapped_luns"] = [
            {"alias": f"map{a:03}{n:04}", "index": n, "tpg_lun": n, "write_protect": False} for n in range(luns)
        ]
        return made

    group = copy.deepcopy(tpg)
    group.update(
        tag=1,
        enable=True,
        luns=[
            {"alias": f"lun{n:07}", "alua_tg_pt_gp_name": "default_tg_pt_gp", "index": n, "storage_object": f"/backstores/block/bench{n}"}
            for n in range(luns)
        ],
        portals=[{"ip_address": PORTAL[0], "port": PORTAL[1], "iser": False, "offload": False}],
        node_acls=[node_acl(a) for a in range(acls)],
    )
    return {
        "fabric_modules": [],
        "storage_objects": [storage_object(n) for n in range(luns)],
        "targets": [{"fabric": "iscsi", "wwn": IQN, "tpgs": [group]}],
    }
