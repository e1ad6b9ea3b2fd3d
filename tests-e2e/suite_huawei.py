"""The unmodified huaweicloudsdkcbr against the running service.

Runs in the `huawei` environment. The SDK signs its requests with an access key, which is for
another identity than ours. A subclass of its credentials carries the token beside the
signature, which the service does not look at, and puts the endpoint's path back, which the
SDK drops: its cloud gives each service a host name. Every call that stands for
something the service has is made; the others are listed with the reason.
"""

import datetime
import inspect
import json
import unittest

from huaweicloudsdkcbr import v1 as hw
from huaweicloudsdkcore.auth import credentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig

from support import (
    MIB,
    Service,
    change,
    emberkeep,
    fill_with_filesystem,
    same_bytes,
    scratch,
    sparse_copy,
    wait_until,
)

DISK = "OS::Cinder::Volume"
MISSING = "00000000-0000-4000-8000-000000000000"

# What the service does not have, and says so: agents inside servers, orders and their money,
# moving a domain, policies of an organization.
ABSENT = {
    "add_agent_path", "check_agent", "list_agent", "register_agent", "remove_agent_path", "show_agent",
    "unregister_agent", "update_agent",
    "change_order", "change_vault_charge_mode", "create_post_paid_vault", "update_order",
    "list_domain_projects", "list_external_vault", "list_projects", "migrate_domain", "show_domain",
    "show_migrate_status",
    "create_organization_policy", "delete_organization_policy", "list_organization_policies",
    "list_organization_policy_detail", "show_organization_policy", "update_organization_policy",
}
REGION = "RegionTwo"


class BasicCredentials(credentials.BasicCredentials):
    """Sends a token along with the signature. The SDK wants credentials of this very name."""

    token = None

    def sign_request(self, request):
        request.header_params["X-Auth-Token"] = self.token
        request.resource_path = f"/cbr{request.resource_path}"
        return super().sign_request(request)


def client_for(service, client):
    """A CbrClient for the project that `client` is signed in to."""
    signed_in = BasicCredentials("access-key", "secret-key", client.project)
    signed_in.token = client.token
    config = HttpConfig.get_default_config()
    config.timeout = (10, 60)
    builder = hw.CbrClient.new_builder().with_http_config(config).with_credentials(signed_in)
    return builder.with_endpoint(f"{service.url}/cbr").build()


class Counting:
    """The client, noting which of its calls were made and succeeded."""

    def __init__(self, client):
        self.client = client
        self.made = set()

    def __getattr__(self, name):
        call = getattr(self.client, name)

        def noted(request):
            answer = call(request)
            self.made.add(name)
            return answer

        return noted


class HuaweiSession(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = scratch("huawei", cls)
        cls.service = Service(cls.room / "data", replicas=f"{REGION}={cls.room / 'region-two'}").start()
        cls.addClassCleanup(cls.service.kill)
        cls.env = cls.service.client_environment()
        cls.plain = cls.service.client()
        cls.cbr = Counting(client_for(cls.service, cls.plain))
        cls.volume_id = cls.plain.create_volume("disk-1")
        cls.other_id = cls.plain.create_volume("disk-2")
        cls.path = emberkeep("volume", "path", cls.volume_id, env=cls.env)[1].strip()
        fill_with_filesystem(cls.path, 16 * MIB)
        sparse_copy(cls.path, cls.room / "first.img")
        cls.seen = {}

    def refused(self, code, call, request):
        with self.assertRaises(ClientRequestException) as caught:
            call(request)
        self.assertEqual(caught.exception.error_code, code, caught.exception)
        self.assertTrue(caught.exception.error_msg)
        self.assertTrue(str(caught.exception.request_id).startswith("req-"), caught.exception.request_id)
        return caught.exception.status_code

    def ended(self, log_id):
        def probe():
            log = self.cbr.show_op_log(hw.ShowOpLogRequest(operation_log_id=log_id)).operation_log
            return log if log.status not in ("waiting", "running") else None

        return wait_until(f"operation {log_id} ends", probe, 180)

    def checkpoint_settled(self, checkpoint_id):
        def probe():
            found = self.cbr.show_checkpoint(hw.ShowCheckpointRequest(checkpoint_id=checkpoint_id)).checkpoint
            return found if found.status != "protecting" else None

        return wait_until("the checkpoint ends", probe, 180)

    def create_vault(self, name, object_type="disk", protect_type="backup", **more):
        billing = hw.BillingCreate(
            cloud_type="public", consistent_level="crash_consistent", object_type=object_type,
            protect_type=protect_type, size=100, charging_mode="post_paid",
        )
        vault = hw.VaultCreate(name=name, billing=billing, resources=[], **more)
        return self.cbr.create_vault(hw.CreateVaultRequest(body=hw.VaultCreateReq(vault=vault))).vault

    def vault(self):
        return self.cbr.show_vault(hw.ShowVaultRequest(vault_id=self.seen["vault"].id)).vault

    def test_01_a_vault(self):
        vault = self.create_vault(
            "disks-a", description="team A", tags=[hw.Tag(key="team", value="a")], threshold=70,
            bind_rules=hw.VaultBindRules(tags=[hw.BindRulesTags(key="tier", value="gold")]),
        )
        self.seen["vault"] = vault
        self.assertEqual((vault.name, vault.description, vault.threshold), ("disks-a", "team A", 70))
        self.assertEqual((vault.billing.size, vault.billing.status, vault.billing.used), (100, "available", 0))
        self.assertEqual([(tag.key, tag.value) for tag in vault.tags], [("team", "a")])
        # The class of a created vault declares more than the one of a shown vault.
        shown, made = self.vault().to_dict(), vault.to_dict()
        self.assertEqual(shown, {key: made[key] for key in shown})
        listed = self.cbr.list_vault(hw.ListVaultRequest(name="disks-a", object_type="disk"))
        self.assertEqual(([found.id for found in listed.vaults], listed.count), ([vault.id], 1))
        edit = hw.VaultUpdate(name="disks-b", threshold=75, billing=hw.BillingUpdate(size=120))
        edited = self.cbr.update_vault(
            hw.UpdateVaultRequest(vault_id=vault.id, body=hw.VaultUpdateReq(vault=edit)),
        ).vault
        self.assertEqual((edited.name, edited.threshold, edited.billing.size), ("disks-b", 75, 120))
        batch = hw.BatchUpdateVaultRequestBody(vault=hw.VaultBatchUpdate(smn_notify=False, threshold=60))
        done = self.cbr.batch_update_vault(hw.BatchUpdateVaultRequest(body=batch))
        self.assertEqual(done.updated_vaults_id, [vault.id])
        summary = self.cbr.show_summary(hw.ShowSummaryRequest())
        self.assertEqual((summary.size, summary.used_size), (120, 0))

    def test_02_resources(self):
        vault = self.seen["vault"]
        seen = self.cbr.list_protectable(hw.ListProtectableRequest(protectable_type="disk"))
        self.assertEqual({found.id for found in seen.instances}, {self.volume_id, self.other_id})
        one = self.cbr.show_protectable(
            hw.ShowProtectableRequest(protectable_type="disk", instance_id=self.volume_id),
        ).instance
        self.assertEqual((one.name, one.protectable.result), ("disk-1", True))
        for _ in range(2):
            body = hw.VaultAddResourceReq(resources=[
                hw.ResourceCreate(id=self.volume_id, type=DISK), hw.ResourceCreate(id=self.other_id, type=DISK),
            ])
            added = self.cbr.add_vault_resource(hw.AddVaultResourceRequest(vault_id=vault.id, body=body))
            self.assertEqual(set(added.add_resource_ids), {self.volume_id, self.other_id})
        self.assertEqual({found.name for found in self.vault().resources}, {"disk-1", "disk-2"})
        for action in ("suspend", "unsuspend"):
            body = hw.VaultSetResourceReq(resource_ids=[self.other_id], action=action)
            done = self.cbr.set_vault_resource(hw.SetVaultResourceRequest(vault_id=vault.id, body=body))
            self.assertEqual(done.set_resource_ids, [self.other_id])

    def test_03_a_checkpoint_with_a_backup_of_each(self):
        parameters = hw.CheckpointParam(name="before", description="by hand", incremental=True, auto_trigger=False)
        body = hw.VaultBackupReq(checkpoint=hw.VaultBackup(vault_id=self.seen["vault"].id, parameters=parameters))
        made = self.cbr.create_checkpoint(hw.CreateCheckpointRequest(body=body)).checkpoint
        self.assertEqual((made.status, made.extra_info.name), ("protecting", "before"))
        self.assertEqual({found.id for found in made.vault.resources}, {self.volume_id, self.other_id})
        done = self.checkpoint_settled(made.id)
        self.assertEqual(done.status, "available")
        listed = self.cbr.list_backups(hw.ListBackupsRequest(checkpoint_id=made.id, sort="name:asc"))
        self.assertEqual([found.name for found in listed.backups], ["before-0001", "before-0002"])
        backup = next(found for found in listed.backups if found.resource_id == self.volume_id)
        shown = self.cbr.show_backup(hw.ShowBackupRequest(backup_id=backup.id)).backup
        self.assertEqual(
            (shown.status, shown.resource_size, shown.image_type, shown.children, shown.replication_records),
            ("available", 1, "backup", [], []),
        )
        self.assertLess(
            datetime.datetime.fromisoformat(str(shown.created_at)), datetime.datetime.fromisoformat(str(shown.updated_at)),
        )
        self.assertFalse(shown.extend_info.auto_trigger)
        renamed = self.cbr.update_backup(hw.UpdateBackupRequest(
            backup_id=backup.id, body=hw.BackupUpdateReq(backup=hw.BackupUpdate(name="first")),
        )).backup
        self.assertEqual(renamed.name, "first")
        self.seen["backup"] = renamed
        logs = self.cbr.list_op_logs(hw.ListOpLogsRequest(operation_type="backup", vault_id=self.seen["vault"].id))
        self.assertEqual(logs.count, 2)
        self.assertEqual({log.status for log in logs.operation_logs}, {"success"})
        usage = self.cbr.show_storage_usage(hw.ShowStorageUsageRequest(resource_id=self.volume_id))
        self.assertEqual((usage.resource_count, usage.storage_usage[0].backup_count), (1, 1))
        self.assertGreater(usage.storage_usage[0].backup_size, 0)

    def test_04_it_is_restored(self):
        change(self.path, seed=4)
        self.assertIsNotNone(same_bytes(self.path, self.room / "first.img"))
        body = hw.BackupRestoreReq(restore=hw.BackupRestore(volume_id=self.volume_id, power_on=True))
        self.cbr.restore_backup(hw.RestoreBackupRequest(backup_id=self.seen["backup"].id, body=body))
        logs = self.cbr.list_op_logs(hw.ListOpLogsRequest(operation_type="restore"))
        log = self.ended(logs.operation_logs[0].id)
        self.assertEqual((log.status, log.error_info.code), ("success", ""))
        self.assertEqual(log.extra_info.restore.target_resource_id, self.volume_id)
        self.plain.volume_settled(self.volume_id, {"available"})
        self.assertIsNone(same_bytes(self.path, self.room / "first.img"))

    def test_05_a_policy(self):
        vault = self.seen["vault"]
        new = hw.PolicyCreate(
            name="nightly", enabled=True, operation_type="backup",
            operation_definition=hw.PolicyoODCreate(max_backups=14, day_backups=7, timezone="UTC+02:00"),
            trigger=hw.PolicyTriggerReq(properties=hw.PolicyTriggerPropertiesReq(
                pattern=["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00", "FREQ=WEEKLY;BYDAY=MO,FR;BYHOUR=13;BYMINUTE=30"],
            )),
        )
        policy = self.cbr.create_policy(hw.CreatePolicyRequest(body=hw.PolicyCreateReq(policy=new))).policy
        self.assertEqual((policy.operation_definition.max_backups, policy.operation_definition.day_backups), (14, 7))
        self.assertEqual(policy.trigger.properties.pattern, new.trigger.properties.pattern)
        for _ in range(2):
            bound = self.cbr.associate_vault_policy(hw.AssociateVaultPolicyRequest(
                vault_id=vault.id, body=hw.VaultAssociate(policy_id=policy.id),
            )).associate_policy
            self.assertEqual((bound.vault_id, bound.policy_id), (vault.id, policy.id))
        shown = self.cbr.show_policy(hw.ShowPolicyRequest(policy_id=policy.id)).policy
        self.assertEqual([found.vault_id for found in shown.associated_vaults], [vault.id])
        edit = hw.PolicyUpdate(name="weekly", enabled=False)
        edited = self.cbr.update_policy(
            hw.UpdatePolicyRequest(policy_id=policy.id, body=hw.PolicyUpdateReq(policy=edit)),
        ).policy
        self.assertEqual((edited.name, edited.enabled), ("weekly", False))
        listed = self.cbr.list_policies(hw.ListPoliciesRequest(vault_id=vault.id))
        self.assertEqual([found.id for found in listed.policies], [policy.id])
        body = hw.UpdateExpirationTimeReq(expect_expiration_date="2099-01-01", time_zone="UTC+02:00")
        moved = self.cbr.update_expiration_time(hw.UpdateExpirationTimeRequest(vault_id=vault.id, body=body))
        self.assertEqual(moved.affected_backups_count, 0)
        self.cbr.disassociate_vault_policy(hw.DisassociateVaultPolicyRequest(
            vault_id=vault.id, body=hw.VaultDissociate(policy_id=policy.id),
        ))
        self.cbr.delete_policy(hw.DeletePolicyRequest(policy_id=policy.id))
        self.assertEqual(self.refused(
            "BackupService.6000", self.cbr.show_policy, hw.ShowPolicyRequest(policy_id=policy.id),
        ), 404)

    def test_06_tags(self):
        vault = self.seen["vault"].id
        self.cbr.create_vault_tags(hw.CreateVaultTagsRequest(
            vault_id=vault, body=hw.VaultTagsCreateReq(tag=hw.TagCreate(key="env", value="prod")),
        ))
        self.cbr.batch_create_and_delete_vault_tags(hw.BatchCreateAndDeleteVaultTagsRequest(
            vault_id=vault, body=hw.BulkCreateAndDeleteVaultTagsReq(
                action="create", tags=[hw.BulkCreateAndDeleteTags(key="tier", value="gold")],
            ),
        ))
        tags = self.cbr.show_vault_tag(hw.ShowVaultTagRequest(vault_id=vault)).tags
        self.assertEqual({(tag.key, tag.value) for tag in tags}, {("team", "a"), ("env", "prod"), ("tier", "gold")})
        found = self.cbr.show_vault_resource_instances(hw.ShowVaultResourceInstancesRequest(
            body=hw.VaultResourceInstancesReq(action="filter", tags=[hw.TagsReq(key="env", values=["prod", "stage"])]),
        ))
        self.assertEqual((found.total_count, [one.resource_id for one in found.resources]), (1, [vault]))
        self.cbr.delete_vault_tag(hw.DeleteVaultTagRequest(vault_id=vault, key="tier"))
        keys = {tag.key for tag in self.cbr.show_vault_project_tag(hw.ShowVaultProjectTagRequest()).tags}
        self.assertEqual(keys, {"team", "env"})

    def test_07_a_share(self):
        backup = self.seen["backup"].id
        project = self.plain.identity("POST", "/projects", {"project": {"name": "beta"}}).expect(201).json["project"]["id"]
        role = self.plain.identity("GET", "/roles?name=member").expect(200).json["roles"][0]["id"]
        user = self.plain.identity("GET", "/users?name=admin").expect(200).json["users"][0]["id"]
        self.plain.identity("PUT", f"/projects/{project}/users/{user}/roles/{role}").expect(204)
        added = self.cbr.add_member(hw.AddMemberRequest(backup_id=backup, body=hw.AddMembersReq(members=[project])))
        self.assertEqual([(one.dest_project_id, one.status) for one in added.members], [(project, "pending")])
        listed = self.cbr.show_members_detail(hw.ShowMembersDetailRequest(backup_id=backup))
        self.assertEqual(listed.count, 1)
        one = self.cbr.show_member_detail(hw.ShowMemberDetailRequest(backup_id=backup, member_id=project)).member
        self.assertEqual(one.status, "pending")
        who = dict(self.service.credentials(), project_name="beta")
        receiver = type(self.plain)(self.service.url, who)
        other = Counting(client_for(self.service, receiver))
        mine, self.cbr = self.cbr, other
        try:
            vault = self.create_vault("received")
        finally:
            self.cbr = mine
        answer = hw.UpdateMember(status="accepted", vault_id=vault.id)
        accepted = other.update_member_status(
            hw.UpdateMemberStatusRequest(backup_id=backup, member_id=project, body=answer),
        ).member
        self.assertEqual((accepted.status, accepted.vault_id), ("accepted", vault.id))
        shared = other.list_backups(hw.ListBackupsRequest(own_type="shared"))
        self.assertEqual([found.id for found in shared.backups], [backup])
        self.cbr.delete_member(hw.DeleteMemberRequest(backup_id=backup, member_id=project))
        self.assertEqual(other.list_backups(hw.ListBackupsRequest(own_type="shared")).backups, [])
        self.cbr.made |= other.made

    def test_08_features(self):
        features = self.cbr.list_features(hw.ListFeaturesRequest())
        self.assertIsNotNone(features)
        self.cbr.show_feature(hw.ShowFeatureRequest(feature_key="replication.enable"))
        regions = self.cbr.show_replication_capabilities(hw.ShowReplicationCapabilitiesRequest()).regions
        self.assertEqual([region.name for region in regions], ["RegionOne"])

    def test_08a_a_server_and_its_copies(self):
        body = {"name": "web", "os_type": "Linux", "volumes": [self.volume_id, self.other_id]}
        server = self.plain.native("POST", "/servers", body).expect(201).json["id"]
        here = self.create_vault("servers", object_type="server")
        there = self.create_vault("copies", object_type="server", protect_type="replication")
        self.assertEqual(there.billing.spec_code, "vault.replication.server.normal")
        body = hw.VaultAddResourceReq(resources=[hw.ResourceCreate(id=server, type="OS::Nova::Server")])
        self.cbr.add_vault_resource(hw.AddVaultResourceRequest(vault_id=here.id, body=body))

        def run_over():
            body = hw.VaultBackupReq(checkpoint=hw.VaultBackup(vault_id=here.id))
            made = self.cbr.create_checkpoint(hw.CreateCheckpointRequest(body=body)).checkpoint
            self.assertEqual(self.checkpoint_settled(made.id).status, "available")
            return self.cbr.list_backups(hw.ListBackupsRequest(checkpoint_id=made.id)).backups[0]

        def copied(record):
            def probe():
                shown = self.cbr.show_backup(hw.ShowBackupRequest(backup_id=record)).backup
                return shown if shown.status in ("available", "error") else None

            shown = wait_until("the copying ends", probe, 180)
            self.assertEqual((shown.status, shown.image_type, len(shown.children)), ("available", "replication", 2))
            return shown

        first = run_over()
        known = self.cbr.show_metadata(hw.ShowMetadataRequest(backup_id=first.id))
        self.assertEqual((known.backup_id, json.loads(known.server)["name"]), (first.id, "web"))
        self.assertEqual({json.loads(volume)["id"] for volume in known.volumes}, {self.volume_id, self.other_id})
        self.assertEqual((json.loads(known.flavor), known.ports, known.floatingips), ({}, [], []))
        request = hw.ShowMetadataRequest(backup_id=self.seen["backup"].id)
        self.assertEqual(self.refused("BackupService.6206", self.cbr.show_metadata, request), 400)

        to = {"destination_region": REGION, "destination_project_id": self.plain.project, "destination_vault_id": there.id}
        body = hw.CheckpointReplicateReq(replicate=hw.CheckpointReplicateParam(vault_id=here.id, **to))
        begun = self.cbr.copy_checkpoint(hw.CopyCheckpointRequest(body=body)).replication
        self.assertEqual([one.backup_id for one in begun.backups], [first.id])
        copy = copied(begun.backups[0].replication_record_id)
        second = run_over()
        body = hw.BackupReplicateReq(replicate=hw.BackupReplicateReqBody(name="by-name", **to))
        begun = self.cbr.copy_backup(hw.CopyBackupRequest(backup_id=second.id, body=body)).replication
        self.assertEqual((begun.source_region, begun.destination_region), ("RegionOne", REGION))
        self.assertEqual(copied(begun.replication_record_id).name, "by-name")
        request = hw.CopyBackupRequest(backup_id=second.id, body=body)
        self.assertEqual(self.refused("BackupService.1009", self.cbr.copy_backup, request), 400)
        log = self.cbr.import_checkpoint(hw.ImportCheckpointRequest(body=hw.SyncReq(
            sync=hw.SyncParam(vault_id=there.id),
        ))).sync.operation_log_id
        self.assertEqual(self.ended(log).status, "success")
        sync = self.cbr.import_backup(hw.ImportBackupRequest(body=hw.BackupSyncReq(sync=[hw.BackupSync(
            backup_id=copy.id, backup_name=copy.name, bucket_name="", image_path="", resource_id=server,
            resource_name="web", resource_type="OS::Nova::Server", created_at=0,
        )]))).sync
        self.assertEqual([one.backup_id for one in sync], [copy.id])
        self.assertEqual(self.ended(sync[0].operation_log_id).status, "success")
        for vault in (here, there):
            self.cbr.delete_vault(hw.DeleteVaultRequest(vault_id=vault.id))

        def gone():
            return {vault.id for vault in self.cbr.list_vault(hw.ListVaultRequest()).vaults} == {self.seen["vault"].id}

        wait_until("the vaults go", gone, 120)
        self.plain.native("DELETE", f"/servers/{server}").expect(204)

    def test_09_refusals_are_the_sdks_own_errors(self):
        for code, call, request in [
            ("BackupService.6105", self.cbr.show_vault, hw.ShowVaultRequest(vault_id=MISSING)),
            ("BackupService.6200", self.cbr.show_backup, hw.ShowBackupRequest(backup_id=MISSING)),
            ("BackupService.6217", self.cbr.show_checkpoint, hw.ShowCheckpointRequest(checkpoint_id=MISSING)),
            ("BackupService.6500", self.cbr.show_op_log, hw.ShowOpLogRequest(operation_log_id=MISSING)),
            ("APIGW.0101", self.cbr.list_agent, hw.ListAgentRequest()),
        ]:
            self.assertEqual(self.refused(code, call, request), 404, code)
        body = hw.VaultAddResourceReq(resources=[hw.ResourceCreate(id=MISSING, type=DISK)])
        request = hw.AddVaultResourceRequest(vault_id=self.seen["vault"].id, body=body)
        self.assertEqual(self.refused("BackupService.7000", self.cbr.add_vault_resource, request), 404)
        small = hw.VaultCreate(name="small", resources=[], billing=hw.BillingCreate(
            consistent_level="crash_consistent", object_type="disk", protect_type="backup", size=9,
        ))
        request = hw.CreateVaultRequest(body=hw.VaultCreateReq(vault=small))
        self.assertEqual(self.refused("BackupService.6101", self.cbr.create_vault, request), 400)

    def test_10_moving_and_deleting(self):
        vault, target = self.seen["vault"], self.create_vault("disks-c")
        body = hw.VaultMigrateResourceReq(destination_vault_id=target.id, resource_ids=[self.other_id])
        moved = self.cbr.migrate_vault_resource(hw.MigrateVaultResourceRequest(vault_id=vault.id, body=body))
        self.assertEqual(moved.migrated_resources, [self.other_id])
        self.cbr.delete_backup(hw.DeleteBackupRequest(backup_id=self.seen["backup"].id))

        def gone():
            listed = self.cbr.list_backups(hw.ListBackupsRequest(vault_id=vault.id))
            return listed.count == 0

        wait_until("the backup goes", gone, 120)
        body = hw.VaultRemoveResourceReq(resource_ids=[self.volume_id])
        removed = self.cbr.remove_vault_resource(hw.RemoveVaultResourceRequest(vault_id=vault.id, body=body))
        self.assertEqual(removed.remove_resource_ids, [self.volume_id])
        wait_until("the resource goes", lambda: not self.vault().resources, 120)
        for one in (vault, target):
            self.cbr.delete_vault(hw.DeleteVaultRequest(vault_id=one.id))
        wait_until("the vaults go", lambda: self.cbr.list_vault(hw.ListVaultRequest()).count == 0, 120)

    def test_11_every_call_of_the_sdk_was_made(self):
        calls = {
            name
            for name, member in inspect.getmembers(hw.CbrClient, inspect.isfunction)
            if not name.startswith("_") and not name.endswith("_invoker")
            and list(inspect.signature(member).parameters) == ["self", "request"]
        }
        self.assertGreater(len(calls), 60)
        self.assertEqual(calls - self.cbr.made, ABSENT)
