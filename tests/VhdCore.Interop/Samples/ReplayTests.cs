using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Peers;
using VhdCore.Operations;

namespace VhdCore.Interop.Samples;

public sealed class ReplayTests
{
    [Theory]
    [InlineData("ltrdata-vhdx-log-replay.vhdx", "3ba3b309425b7ff5e8e0199edceed95226250f880c53b24e8eae93865f3fad5e")]
    [InlineData("qemu-iotest-dirtylog-10G-4M.vhdx", "179cefe8b0587f123393eedf2aa7aa8d25798591178e6bc3950a09762f38f96f")]
    public async Task After_replay_a_dirty_sample_has_its_content_for_QEMU_too(string name, string hash)
    {
        using var samples = SampleFolder.With(name);
        var path = samples[name];
        var identity = (await InfoOperation.RunAsync(path)).Single().Vhdx!;
        var report = await ReplayOperation.RunAsync(path);
        Assert.True(report is { WasDirty: true, IsReplayed: true, UpdateCount: > 0 });
        var info = (await InfoOperation.RunAsync(path)).Single().Vhdx!;
        Assert.Equal((Guid.Empty, identity.DataWriteGuid), (info.Log.LogGuid, info.DataWriteGuid));
        Assert.NotEqual(identity.FileWriteGuid, info.FileWriteGuid);
        Assert.DoesNotContain((await CheckOperation.RunAsync(path)).Findings, finding => finding.Severity == CheckSeverity.Corruption);
        if (!name.Contains("10G", StringComparison.Ordinal))
        {
            await using var disk = await VirtualDisk.OpenAsync(path);
            Assert.Equal(hash, Convert.ToHexStringLower(await HashOperation.RunAsync(disk.Device)));
        }

        QemuImg.Require();
        QemuImg.Run("check", "-f", "vhdx", path);
        await ConvertOperationToRawAsync(path, samples["ours.raw"]);
        QemuImg.Run("compare", "-f", "vhdx", "-F", "raw", path, samples["ours.raw"]);
    }

    private static async Task ConvertOperationToRawAsync(string path, string raw)
    {
        await using var source = await VirtualDisk.OpenAsync(path);
        await using var target = await VirtualDisk.CreateAsync(raw, new ImageCreateOptions { Format = ImageFormat.Raw, Size = source.Length });
        await ConvertOperation.RunAsync(source.Device, target.Device);
    }
}
