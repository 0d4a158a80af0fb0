using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Operations;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using static VhdCore.Tests.Vhdx.VhdxImages;

namespace VhdCore.Tests.Operations;

/// <summary>A VHDX described, also where opening refuses it.</summary>
public sealed class VhdxInfoTests
{
    private const string LogId = "30000001-0002-0003-0405-060708090a0b";
    private const int FirstHeader = 64 << 10;
    private const int SecondHeader = 128 << 10;
    private const int FirstRegionTable = 192 << 10;

    private static readonly PlainVhdxBuilder Plain = new()
    {
        DiskSize = 9 * MiB,
        PhysicalSectorSize = 512,
        Creator = "Plain builder 1.2",
        Blocks = new()
        {
            [0] = new(6, Pattern(0)),
            [1] = new(1),
            [2] = new(2),
            [3] = new(3),
            [4] = new(5),
            [6] = new(6, Pattern(6)),
        },
    };

    [Fact]
    public async Task Everything_that_a_sound_image_says_is_told()
    {
        var bytes = Plain.Build();
        var info = await InfoAsync(bytes);
        Assert.Equal((ImageFormat.Vhdx, ImageKind.Dynamic, 9L * MiB, MiB), (info.Format, info.Kind, info.VirtualSize, info.BlockSize));
        Assert.False(info.IsRefused);
        Assert.Empty(info.Warnings);
        var vhdx = info.Vhdx!;
        Assert.Equal("Plain builder 1.2", vhdx.Creator);
        Assert.Equal([new VhdxHeaderInfo(true, false, 7), new VhdxHeaderInfo(true, true, 8)], vhdx.Headers);
        Assert.Equal(new Guid("00000001-0002-0003-0405-060708090a0b"), vhdx.FileWriteGuid);
        Assert.Equal(new Guid("10000001-0002-0003-0405-060708090a0b"), vhdx.DataWriteGuid);
        Assert.Equal(new Guid("20000001-0002-0003-0405-060708090a0b"), vhdx.VirtualDiskId);
        Assert.Equal(new VhdxLogInfo(VhdxLogState.Clean, MiB, MiB, Guid.Empty, 0, 0), vhdx.Log);
        Assert.Equal((512, 512, false), (vhdx.LogicalSectorSize, vhdx.PhysicalSectorSize, vhdx.LeaveBlocksAllocated));
        Assert.Equal(9, vhdx.BlockCount);
        Assert.Equal(new VhdxBlockCounts(3, 1, 1, 2, 2, 0, 0), vhdx.Blocks);
        Assert.Empty(vhdx.ParentLocator);
        Assert.Equal([(Plain.BatOffset, (long)MiB), (Plain.MetadataOffset, MiB)], vhdx.Regions.Select(region => (region.FileOffset, region.Length)));
    }

    [Theory]
    [InlineData(FirstHeader, 8)]
    [InlineData(SecondHeader, 7)]
    public async Task A_header_that_is_damaged_is_told_from_the_one_that_counts(int damaged, ulong current)
    {
        var bytes = Plain.Build();
        bytes[damaged + 100] ^= 1;
        var info = await InfoAsync(bytes);
        Assert.False(info.IsRefused);
        Assert.Contains($"byte {damaged}", Assert.Single(info.Warnings), StringComparison.Ordinal);
        Assert.Equal([damaged != FirstHeader, damaged != SecondHeader], info.Vhdx!.Headers.Select(header => header.IsValid));
        Assert.Equal([damaged != FirstHeader, damaged != SecondHeader], info.Vhdx.Headers.Select(header => header.IsCurrent));
        Assert.Equal(current, info.Vhdx.Headers.Single(header => header.IsCurrent).SequenceNumber);
    }

    [Fact]
    public async Task A_dirty_log_is_counted_and_the_disk_described_as_after_replay()
    {
        var bytes = Plain.Build();
        var log = new PlainVhdxLogWriter(bytes, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier(LogId));
        log.Add();
        log.Tail = 0;
        log.Add(log.Take(Plain.BatOffset, old: 0));
        log.MarkDirty();
        var info = await InfoAsync(bytes);
        Assert.False(info.IsRefused);
        Assert.Equal(new VhdxLogInfo(VhdxLogState.Dirty, MiB, MiB, new Guid(LogId), 2, 1), info.Vhdx!.Log);
        Assert.Equal(2, info.Vhdx.Blocks!.FullyPresent);
    }

    [Fact]
    public async Task A_log_that_cannot_be_replayed_is_told_and_so_is_the_rest()
    {
        var bytes = Plain.Build();
        var log = new PlainVhdxLogWriter(bytes, PlainVhdxBuilder.LogOffset, MiB, PlainVhdxBytes.Identifier(LogId));
        log.Add(log.Take(Plain.BatOffset, old: 0));
        log.MarkDirty();
        bytes[PlainVhdxBuilder.LogOffset + 5000] ^= 1;
        var info = await InfoAsync(bytes);
        Assert.True(info.IsRefused);
        Assert.Contains("no complete sequence", info.Warnings[0], StringComparison.Ordinal);
        Assert.Equal(new VhdxLogInfo(VhdxLogState.Unreplayable, MiB, MiB, new Guid(LogId), 0, 0), info.Vhdx!.Log);
        Assert.Equal((9L * MiB, ImageKind.Dynamic), (info.VirtualSize, info.Kind));
        Assert.Equal(9, info.Vhdx.Blocks!.NotPresent); // as it stands
    }

    [Fact]
    public async Task What_is_required_and_unknown_is_named_and_the_image_described()
    {
        foreach (var builder in new[]
        {
            new PlainVhdxBuilder { ExtraRegions = [("40000001-0002-0003-0405-060708090a0b", 5 * MiB, MiB, 1)] },
            new PlainVhdxBuilder { ExtraItems = [("40000001-0002-0003-0405-060708090a0b", 4, [1, 2, 3])] },
            new PlainVhdxBuilder { ExtraItems = [("71cc85f0-1b69-4e28-9558-c3bf83ae75d3", 6, [1])] },
        })
        {
            byte[] bytes = [.. builder.Build(), .. new byte[4 * MiB]];
            var info = await InfoAsync(bytes);
            Assert.True(info.IsRefused);
            Assert.True(info.Warnings[0].Contains("40000001-0002-0003-0405-060708090a0b", StringComparison.Ordinal) || info.Warnings[0].Contains("incomplete", StringComparison.Ordinal));
            Assert.Equal(4 * MiB, info.VirtualSize);
            Assert.Equal(4, info.Vhdx!.Blocks!.NotPresent);
        }
    }

    [Fact]
    public async Task Where_the_structures_do_not_say_what_disk_it_is_the_headers_are_told()
    {
        foreach (var damage in new Action<byte[]>[]
        {
            bytes => bytes.AsSpan(FirstRegionTable, 128 << 10).Clear(),
            bytes => bytes[Plain.MetadataOffset] ^= 1,
            bytes => bytes.AsSpan((int)Plain.MetadataOffset + 65536, 4).Fill(0xFF),
        })
        {
            var bytes = Plain.Build();
            damage(bytes);
            var info = await InfoAsync(bytes);
            Assert.True(info.IsRefused);
            Assert.Equal(0, info.VirtualSize);
            Assert.Equal((0, 0), (info.Vhdx!.LogicalSectorSize, info.Vhdx.BlockCount));
            Assert.Equal(8U, info.Vhdx.Headers.Single(header => header.IsCurrent).SequenceNumber);
            Assert.Equal(new Guid("10000001-0002-0003-0405-060708090a0b"), info.UniqueId);
            Assert.Equal("Plain builder 1.2", info.Vhdx.Creator);
            Assert.Equal(VhdxLogState.Clean, info.Vhdx.Log.State);
        }
    }

    [Fact]
    public async Task Headers_that_contradict_each_other_are_both_told()
    {
        var bytes = Plain.Build();
        PlainVhdxBytes.Number(bytes, FirstHeader + 8, 8, 8);
        bytes[FirstHeader + 32] ^= 1;
        PlainVhdxBytes.Mend(bytes, FirstHeader, 4096);
        var info = await InfoAsync(bytes);
        Assert.True(info.IsRefused);
        Assert.Equal([new VhdxHeaderInfo(true, false, 8), new VhdxHeaderInfo(true, false, 8)], info.Vhdx!.Headers);
    }

    [Fact]
    public async Task Every_prefix_of_an_image_is_described_or_refused_in_words()
    {
        var bytes = Plain.Build();
        for (var length = 0; length < bytes.Length; length += 37_813)
        {
            try
            {
                Assert.NotNull((await InfoAsync(bytes[..length], ImageFormat.Vhdx)).Vhdx);
            }
            catch (ImageException exception)
            {
                Assert.Contains("'/x.vhdx'", exception.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task A_childs_locator_is_told_key_by_key_though_no_parent_is_there()
    {
        List<(string, string)> locator =
        [
            ("parent_linkage", "{10000009-0002-0003-0405-060708090A0B}"), ("parent_linkage2", "1000000a-0002-0003-0405-060708090a0b"),
            ("relative_path", @".\gone.vhdx"), ("volume_path", @"\\?\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\gone.vhdx"), ("absolute_win32_path", @"\\?\c:\gone.vhdx"),
        ];
        var info = await InfoAsync(new PlainVhdxBuilder { Locator = locator, SectorSize = 4096 }.Build());
        Assert.Equal(locator, info.Vhdx!.ParentLocator.Select(pair => (pair.Key, pair.Value)));
        Assert.Equal((ImageKind.Differencing, @".\gone.vhdx", true), (info.Kind, info.ParentPath, info.IsRefused));
        Assert.Contains("10000009-0002-0003-0405-060708090a0b or 1000000a-0002-0003-0405-060708090a0b", info.Warnings[0], StringComparison.Ordinal);
        Assert.Equal(4096, info.Vhdx.LogicalSectorSize);
    }

    [Fact]
    public async Task Blocks_of_a_table_that_is_mostly_empty_are_all_counted()
    {
        // 64 MiB of table, of which two parts hold something; chunks of 32768 blocks and a bitmap's entry between.
        var resolver = new MemoryStorageResolver();
        var options = new ImageCreateOptions { Format = ImageFormat.Vhdx, Size = 8L << 40, BlockSize = MiB, LogicalSectorSize = 4096 };
        var stop = TestContext.Current.CancellationToken;
        await using (var disk = await VirtualDisk.CreateAsync("/x.vhdx", options, resolver, stop))
        {
            await disk.WriteAsync(0, new byte[] { 1 }, cancellationToken: stop);
            await disk.WriteAsync((5L << 40) + 77, new byte[] { 1 }, cancellationToken: stop);
        }

        var info = Assert.Single(await InfoOperation.RunAsync("/x.vhdx", resolver: resolver, cancellationToken: stop));
        Assert.Equal(new VhdxBlockCounts((8 << 20) - 2, 0, 0, 0, 2, 0, 0), info.Vhdx!.Blocks);
    }

    private static async Task<ImageInfo> InfoAsync(byte[] bytes, ImageFormat? format = null)
    {
        var resolver = new MemoryStorageResolver();
        resolver.Add("/x.vhdx", bytes);
        var infos = await InfoOperation.RunAsync("/x.vhdx", new ImageOpenOptions { Format = format }, resolver, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(bytes, resolver.GetBytes("/x.vhdx"));
        return Assert.Single(infos);
    }
}
