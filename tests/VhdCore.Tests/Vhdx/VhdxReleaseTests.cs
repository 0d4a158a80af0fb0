using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Testing;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>What trims and zeros leave in the BAT, what that means to readers, and when a block counts as whole.</summary>
public class VhdxReleaseTests
{
    private const int MiB = 1 << 20;
    private const int BatOffset = 3 * MiB;

    [Theory]
    [InlineData(ImageKind.Dynamic)]
    [InlineData(ImageKind.Differencing)]
    public async Task A_trim_leaves_unmapped_and_zeros_leave_zero_both_without_a_place_and_the_file_shrinks(ImageKind kind)
    {
        var resolver = await CreateAsync(kind);
        var names = Names(kind);
        await using (var device = await VhdxFiles.OpenAsync(resolver, names))
        {
            await FillAsync(device, 0, 4);
        }

        var full = resolver.GetBytes("leaf.vhdx").Length;
        await using (var device = await VhdxFiles.OpenAsync(resolver, names))
        {
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(2 * MiB, MiB));
            Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(3 * MiB, MiB));
        }

        Assert.Equal((ulong)PayloadBlockState.Unmapped, Entry(resolver, 2));
        Assert.Equal((ulong)PayloadBlockState.Zero, Entry(resolver, 3));
        var after = resolver.GetBytes("leaf.vhdx").Length;
        Assert.Equal(full - (2 * MiB), after);
        Assert.Equal(0, after % MiB);
        var content = await VhdxFiles.ReadPlainlyAsync(resolver, names);
        Assert.DoesNotContain((byte)0, content[..(2 * MiB)]);
        Assert.False(content.AsSpan(2 * MiB, 2 * MiB).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public async Task A_child_block_that_was_trimmed_or_zeroed_hides_its_parent()
    {
        var resolver = await CreateAsync(ImageKind.Differencing);
        await using (var device = await VhdxFiles.OpenAsync(resolver, Names(ImageKind.Differencing)))
        {
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, MiB));
            Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(MiB, MiB));
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(2 * MiB, MiB / 2)); // half a block: as it was
            Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(3 * MiB, MiB / 2));
        }

        Assert.Equal((ulong)PayloadBlockState.Unmapped, Entry(resolver, 0));
        Assert.Equal((ulong)PayloadBlockState.Zero, Entry(resolver, 1));
        Assert.Equal(0UL, Entry(resolver, 2));
        Assert.Equal((ulong)PayloadBlockState.PartiallyPresent, Entry(resolver, 3) & 7);
        var content = await VhdxFiles.ReadPlainlyAsync(resolver, Names(ImageKind.Differencing));
        Assert.False(content.AsSpan(0, 2 * MiB).ContainsAnyExcept((byte)0));
        Assert.False(content.AsSpan(2 * MiB, MiB).Contains((byte)0));
        Assert.False(content.AsSpan(3 * MiB, MiB / 2).ContainsAnyExcept((byte)0));
        Assert.False(content.AsSpan((3 * MiB) + (MiB / 2), MiB / 2).Contains((byte)0));
    }

    [Fact]
    public async Task Writing_into_a_released_block_of_a_child_makes_it_whole_with_zeros_around()
    {
        var resolver = await CreateAsync(ImageKind.Differencing);
        await using (var device = await VhdxFiles.OpenAsync(resolver, Names(ImageKind.Differencing)))
        {
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, MiB));
            Assert.Equal(BlockStatus.Ok, await device.WriteBytesAsync(4096, [1, 2, 3]));
        }

        Assert.Equal((ulong)PayloadBlockState.FullyPresent, Entry(resolver, 0) & 7);
        var content = await VhdxFiles.ReadPlainlyAsync(resolver, Names(ImageKind.Differencing));
        Assert.Equal([0, 1, 2, 3, 0], content[4095..4100]);
        Assert.False(content.AsSpan(4099, MiB - 4099).ContainsAnyExcept((byte)0));
    }

    [Fact]
    public async Task Zeroing_part_of_a_block_keeps_what_another_thread_writes_beside_it_though_the_block_was_unmapped_a_moment_ago()
    {
        var resolver = await CreateAsync(ImageKind.Dynamic);
        var (device, leaf) = await VhdxFiles.OpenWithLeafAsync(resolver, new ImageOpenOptions { Writable = true }, Names(ImageKind.Dynamic));
        await using (device)
        {
            await FillAsync(device, 0, 1);
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, MiB));
            var writer = (VhdxWriter)leaf;
            Assert.Equal(BlockStatus.Ok, await writer.ReserveAsync(1, TestContext.Current.CancellationToken));
            var released = default(ReleaseExtent);
            var zeroing = new Thread(() => released = writer.Release(0, 4096, isTrim: false));
            WriteExtent written;
            lock (TableOf(writer).Lock)
            {
                // The lock belongs to one that goes on while the other waits for it, with whatever it has decided before.
                zeroing.Start();
                SpinWait.SpinUntil(() => !zeroing.IsAlive || zeroing.ThreadState.HasFlag(ThreadState.WaitSleepJoin));
                written = writer.ResolveForWrite(8192, 4096);
            }

            zeroing.Join();
            Assert.Equal(WriteExtentKind.Ready, written.Kind);
            Assert.Equal(ReleaseKind.Keep, released.Kind);
            Assert.Equal(ExtentKind.Data, writer.Resolve(8192, 4096).Kind);
        }
    }

    [Theory]
    [InlineData((int)PayloadBlockState.NotPresent, (int)PayloadBlockState.NotPresent)]
    [InlineData((int)PayloadBlockState.Undefined, (int)PayloadBlockState.Zero)]
    [InlineData((int)PayloadBlockState.Unmapped, (int)PayloadBlockState.Zero)]
    [InlineData((int)PayloadBlockState.Zero, (int)PayloadBlockState.Zero)]
    public async Task Zeroing_what_other_programs_may_read_otherwise_says_zero(int before, int after)
    {
        var resolver = await CreateAsync(ImageKind.Dynamic);
        SetEntry(resolver, 1, (ulong)before);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "leaf.vhdx"))
        {
            Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(MiB + 4096, 8192)); // a part of it is enough
        }

        Assert.Equal((ulong)after, Entry(resolver, 1));
    }

    [Fact]
    public async Task Releasing_what_reads_as_zeros_already_changes_not_a_byte_of_the_file()
    {
        var resolver = await CreateAsync(ImageKind.Dynamic);
        SetEntry(resolver, 1, (ulong)PayloadBlockState.Zero);
        SetEntry(resolver, 2, (ulong)PayloadBlockState.Unmapped);
        var before = resolver.GetBytes("leaf.vhdx");
        await using (var device = await VhdxFiles.OpenAsync(resolver, "leaf.vhdx"))
        {
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(0, device.Length));
            Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(0, 2 * MiB));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        }

        Assert.Equal(before, resolver.GetBytes("leaf.vhdx"));
    }

    [Fact]
    public async Task A_fixed_disk_keeps_its_blocks_and_its_length_when_it_is_trimmed()
    {
        var resolver = await CreateAsync(ImageKind.Fixed);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "leaf.vhdx"))
        {
            await FillAsync(device, 0, 4);
        }

        var before = resolver.GetBytes("leaf.vhdx");
        await using (var device = await VhdxFiles.OpenAsync(resolver, "leaf.vhdx"))
        {
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(MiB, 3 * MiB));
            Assert.Equal(BlockStatus.Ok, await device.ZeroAsync(100, 5000));
        }

        var after = resolver.GetBytes("leaf.vhdx");
        Assert.Equal(before.Length, after.Length);
        Assert.Equal(before[BatOffset..(BatOffset + MiB)], after[BatOffset..(BatOffset + MiB)]);
        var content = await VhdxFiles.ReadPlainlyAsync(resolver, "leaf.vhdx");
        Assert.False(content.AsSpan(100, 5000).ContainsAnyExcept((byte)0) || content.AsSpan(MiB, 3 * MiB).ContainsAnyExcept((byte)0));
        Assert.DoesNotContain((byte)0, content[5100..MiB]);
    }

    [Theory]
    [InlineData(1, 512, 4 * MiB)]
    [InlineData(1, 4096, 4 * MiB)]
    [InlineData(32, 512, 40 * MiB)] // two pages of bits a block; the last block is not whole
    public async Task A_block_whose_last_sector_arrives_is_fully_present_and_its_bitmap_stays(int blockSize, int sectorSize, int diskSize)
    {
        var resolver = await CreateAsync(ImageKind.Differencing, new VhdxFile { Size = diskSize, BlockSize = (uint)blockSize * MiB, SectorSize = sectorSize });
        var names = Names(ImageKind.Differencing);
        var last = ((diskSize - 1) / (blockSize * MiB)) * (long)blockSize * MiB;
        await using (var device = await VhdxFiles.OpenAsync(resolver, names))
        {
            foreach (var block in new[] { 0, last })
            {
                var end = Math.Min(block + (blockSize * (long)MiB), diskSize);
                await FillAsync(device, block, (int)(end - block - sectorSize), 0x66);
            }

            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal((ulong)PayloadBlockState.PartiallyPresent, Entry(resolver, 0) & 7);
            foreach (var block in new[] { 0, last })
            {
                var end = Math.Min(block + (blockSize * (long)MiB), diskSize);
                await FillAsync(device, end - sectorSize, sectorSize, 0x66);
            }
        }

        var bitmapEntry = (int)(8388608L * sectorSize / (blockSize * MiB));
        Assert.Equal((ulong)PayloadBlockState.FullyPresent, Entry(resolver, 0) & 7);
        Assert.Equal((ulong)PayloadBlockState.FullyPresent, Entry(resolver, (int)(last / (blockSize * MiB))) & 7);
        Assert.Equal((ulong)SectorBitmapBlockState.Present, Entry(resolver, bitmapEntry) & 7);
        using var chain = await VhdxFiles.OpenPlainlyAsync(resolver, names);
        Assert.All(chain.Read(0, 100).Concat(chain.Read(diskSize - 100, 100)), value => Assert.Equal(0x66, value));
    }

    [Fact]
    public async Task A_parent_s_state_means_the_same_below_a_child()
    {
        var resolver = await CreateAsync(ImageKind.Differencing); // the parent is full of 0x77
        var parent = resolver.GetBytes("parent.vhdx");
        for (var block = 0; block < 4; block++)
        {
            Assert.Equal(6UL, BinaryPrimitives.ReadUInt64LittleEndian(parent.AsSpan(BatOffset + (8 * block))) & 7);
            BinaryPrimitives.WriteUInt64LittleEndian(parent.AsSpan(BatOffset + (8 * block)), (ulong)new[] { 0, 1, 2, 3 }[block]);
        }

        resolver.Add("parent.vhdx", parent);
        await using var device = await VhdxFiles.OpenAsync(resolver, Names(ImageKind.Differencing));
        Assert.False((await device.ReadBytesAsync(0, 4 * MiB)).AsSpan().ContainsAnyExcept((byte)0));
    }

    private static string[] Names(ImageKind kind) => kind == ImageKind.Differencing ? ["leaf.vhdx", "parent.vhdx"] : ["leaf.vhdx"];

    /// <summary>An empty image; a differencing one over a parent full of 0x77.</summary>
    private static async Task<MemoryStorageResolver> CreateAsync(ImageKind kind, VhdxFile? file = null)
    {
        file ??= new VhdxFile { Size = 4 * MiB };
        var resolver = new MemoryStorageResolver();
        if (kind == ImageKind.Differencing)
        {
            await VhdxFiles.CreateAsync(resolver, "parent.vhdx", file);
            await using var device = await VhdxFiles.OpenAsync(resolver, "parent.vhdx");
            await FillAsync(device, 0, (int)file.Size, 0x77);
        }

        await VhdxFiles.CreateAsync(resolver, "leaf.vhdx", file with { Kind = kind, Parent = kind == ImageKind.Differencing ? "parent.vhdx" : null });
        return resolver;
    }

    private static Task FillAsync(ChainDevice device, int firstBlock, int blockCount) => FillAsync(device, (long)firstBlock * MiB, blockCount * MiB, 0x55);

    private static async Task FillAsync(ChainDevice device, long offset, int length, byte value)
    {
        using var buffer = new NativeBuffer(length);
        buffer.Span.Fill(value);
        Assert.Equal(BlockStatus.Ok, await device.WriteAsync(offset, buffer.Buffers));
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_table")]
    private static extern ref readonly VhdxWriterTable TableOf(VhdxWriter writer);

    private static ulong Entry(MemoryStorageResolver resolver, int index) =>
        BinaryPrimitives.ReadUInt64LittleEndian(resolver.GetBytes("leaf.vhdx").AsSpan(BatOffset + (8 * index)));

    private static void SetEntry(MemoryStorageResolver resolver, int index, ulong value)
    {
        var bytes = resolver.GetBytes("leaf.vhdx");
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(BatOffset + (8 * index)), value);
        resolver.Add("leaf.vhdx", bytes);
    }
}
