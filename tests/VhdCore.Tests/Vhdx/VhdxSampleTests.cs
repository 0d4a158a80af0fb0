using System.Security.Cryptography;
using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

public class VhdxSampleTests
{
    public static TheoryData<string, string> Samples => VhdxSamples.Hashes;

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_sample_reads_as_known_and_its_file_stays_as_it_was(string name, string hash)
    {
        using var folder = new TempFolder();
        var path = VhdxSamples.Unpack(name, folder);
        var stamp = new DateTime(2012, 3, 4, 5, 6, 7, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(path, stamp);
        var before = HashOf(path);

        var storage = await new FileStorageResolver().OpenAsync(path, StorageOpenOptions.ForReading, TestContext.Current.CancellationToken);
        var options = new ImageOpenOptions { OnWarning = warning => Assert.Fail(warning.Message) };
        var metadata = await VhdxMetadataReader.ReadAsync(storage, options, TestContext.Current.CancellationToken);
        await using (var device = new ChainDevice(
            new ChainState([VhdxLayer.Open(storage, metadata, options)], metadata.VirtualSize), new InFlightGate(), new BlockDeviceInfo { Name = path, IsReadOnly = true }))
        {
            Assert.Equal(hash, await HashOfAsync(device));
        }

        Assert.Equal(before, HashOf(path));
        Assert.Equal(stamp, File.GetLastWriteTimeUtc(path));
    }

    [Theory]
    [InlineData("ltrdata-vhdx-log-replay.vhdx", true)]
    [InlineData("qemu-iotest-dirtylog-10G-4M.vhdx", true)]
    [InlineData("ltrdata-btrfs.vhdx", false)]
    [InlineData("ltrdata-lvm2.vhdx", false)]
    [InlineData("qemu-iotest-dynamic-1G.vhdx", false)]
    public async Task A_sample_is_sound_and_a_dirty_log_is_noted(string name, bool isDirty)
    {
        using var folder = new TempFolder();
        await using var storage = await new FileStorageResolver().OpenAsync(VhdxSamples.Unpack(name, folder), StorageOpenOptions.ForReading, TestContext.Current.CancellationToken);
        var examination = await VhdxExaminer.ExamineAsync(storage, TestContext.Current.CancellationToken);
        Assert.All(examination.Findings, finding => Assert.Equal(FindingSeverity.Note, finding.Severity));
        Assert.Equal(isDirty, examination.Findings.Any(finding => finding.Id == VhdxFindingId.LogDirty));
        Assert.Equal(isDirty, examination.Metadata!.Replay is not null);
    }

    private static string HashOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    private static async Task<string> HashOfAsync(ChainDevice device)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var buffer = new NativeBuffer(1 << 20);
        for (long offset = 0; offset < device.Length;)
        {
            var length = (int)Math.Min(buffer.Length, device.Length - offset);
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(offset, buffer.Slice(0, length), TestContext.Current.CancellationToken));
            hash.AppendData(buffer.Span[..length]);
            offset += length;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
