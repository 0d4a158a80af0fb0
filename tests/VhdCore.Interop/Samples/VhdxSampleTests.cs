using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Interop.Matrix;
using VhdCore.Interop.Peers;
using VhdCore.Operations;
using VhdCore.Testing.Independent;

namespace VhdCore.Interop.Samples;

/// <summary>VHDXs made by Windows and by old QEMU: read, replayed and written on, as others see it.</summary>
public sealed class VhdxSampleTests
{
    public static TheoryData<string, string> Samples => new()
    {
        { "ltrdata-vhdx-log-replay.vhdx", "3ba3b309425b7ff5e8e0199edceed95226250f880c53b24e8eae93865f3fad5e" },
        { "ltrdata-btrfs.vhdx", "0b959f9cb4e18348ad8b646f152178282542c8304f02fddf765e3fd1a1de6864" },
        { "ltrdata-lvm2.vhdx", "f7dc6812a3b12a35f3ec895ce981bd59ff4558270fc80cd812c9cd522bff1295" },
        { "qemu-iotest-dynamic-1G.vhdx", "d3d112d8dab7fd360609f7d5a7b769904b7a2a7d7b6b8c535f65a23293c05478" },
        { "qemu-iotest-dirtylog-10G-4M.vhdx", "179cefe8b0587f123393eedf2aa7aa8d25798591178e6bc3950a09762f38f96f" },
    };

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_sample_is_mapped_as_the_independent_reader_finds_it(string name, string hash)
    {
        using var samples = SampleFolder.With(name);
        using var watch = new UnchangedFolder(samples.Path);
        await ExpectVhdx.MapAsync(samples[name]);
        await using var disk = await VirtualDisk.OpenAsync(samples[name]);
        Assert.Equal(hash, Convert.ToHexStringLower(await HashOperation.RunAsync(disk.Device, cancellationToken: TestContext.Current.CancellationToken)));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task QEMU_sees_what_we_read_before_and_after_we_replay(string name, string hash)
    {
        QemuImg.Require();
        using var samples = SampleFolder.With(name);
        await using (var disk = await VirtualDisk.OpenAsync(samples[name]))
        {
            await using var raw = await VirtualDisk.CreateAsync(samples["content.raw"], new ImageCreateOptions { Format = ImageFormat.Raw, Kind = ImageKind.Fixed, Size = disk.Length });
            await ConvertOperation.RunAsync(disk.Device, raw.Device, new ConvertOptions { TargetIsZero = true });
            Assert.Equal(hash, Convert.ToHexStringLower(await HashOperation.RunAsync(raw.Device, cancellationToken: TestContext.Current.CancellationToken)));
        }

        File.Copy(samples[name], samples["theirs.vhdx"]);
        QemuImg.Run("check", "-r", "all", "-f", "vhdx", samples["theirs.vhdx"]);
        QemuImg.Run("compare", "-f", "vhdx", "-F", "raw", samples["theirs.vhdx"], samples["content.raw"]);

        // Opening for writing replays; nothing else changes.
        await using (await VirtualDisk.OpenAsync(samples[name], new ImageOpenOptions { Writable = true }))
        {
        }

        QemuImg.Run("check", "-f", "vhdx", samples[name]);
        QemuImg.Run("compare", "-f", "vhdx", "-F", "vhdx", samples["theirs.vhdx"], samples[name]);
        using var plain = PlainVhdx.Open(File.OpenRead(samples[name]));
        Assert.Equal(0, plain.ReplayedEntries);
        await ExpectVhdx.MapAsync(samples[name]);
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_sample_that_is_written_on_holds_what_it_held_and_what_was_written(string name, string hash)
    {
        QemuImg.Require();
        Assert.NotEmpty(hash);
        using var samples = SampleFolder.With(name);
        File.Copy(samples[name], samples["before.vhdx"]);
        await using var before = await VirtualDisk.OpenAsync(samples["before.vhdx"]);
        var random = new Random(5);
        List<(long Offset, byte[] Bytes)> writes = [];
        await using (var disk = await VirtualDisk.OpenAsync(samples[name], new ImageOpenOptions { Writable = true }))
        {
            // Into blocks of every state, and across their ends.
            await foreach (var run in before.GetExtentsAsync())
            {
                var bytes = new byte[random.Next(1, 9000)];
                random.NextBytes(bytes);
                var offset = Math.Clamp(run.Offset + random.NextInt64(-3000, run.Length), 0, disk.Length - bytes.Length);
                await disk.WriteAsync(offset, bytes);
                writes.Add((offset, bytes));
                if (writes.Count == 60)
                {
                    break;
                }
            }
        }

        QemuImg.Run("check", "-f", "vhdx", samples[name]);
        using var plain = PlainVhdxChain.Open(File.OpenRead(samples[name]));
        await using var after = await VirtualDisk.OpenAsync(samples[name]);
        foreach (var (offset, bytes) in writes)
        {
            // The write and what lies around it: later writes may cover earlier ones.
            var start = Math.Max(0, offset - 10_000) / 512 * 512;
            var expected = new byte[Math.Min(after.Length - start, bytes.Length + 20_000)];
            await before.ReadAsync(start, expected);
            foreach (var (otherOffset, other) in writes)
            {
                for (var i = Math.Max(0, start - otherOffset); i < other.Length && otherOffset + i < start + expected.Length; i++)
                {
                    expected[otherOffset + i - start] = other[i];
                }
            }

            var actual = new byte[expected.Length];
            await after.ReadAsync(start, actual);
            Assert.Equal(expected, actual);
            Assert.Equal(expected, plain.Read(start, expected.Length));
        }
    }
}
