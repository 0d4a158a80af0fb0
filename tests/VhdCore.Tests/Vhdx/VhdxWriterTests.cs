using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Testing;
using VhdCore.Tests.Model;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Vhdx;

/// <summary>Images that the library creates and writes, read back by the library and by the independent reader: while they are open, with their logs, and closed.</summary>
public class VhdxWriterTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(ImageKind.Dynamic, 512)]
    [InlineData(ImageKind.Dynamic, 4096)]
    [InlineData(ImageKind.Fixed, 512)]
    [InlineData(ImageKind.Differencing, 512)]
    [InlineData(ImageKind.Differencing, 4096)]
    public async Task Random_writes_zeros_and_trims_read_back_the_same_by_every_reader(ImageKind kind, int sectorSize)
    {
        for (var seed = 1; seed <= 2; seed++)
        {
            await RunAsync(kind, sectorSize, seed);
        }
    }

    [Fact]
    public async Task A_clean_image_that_is_only_read_stays_as_it_is_though_open_for_writing()
    {
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", new VhdxFile { Size = 8 * MiB });
        var before = resolver.GetBytes("a.vhdx");
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            using var seen = new NativeBuffer(MiB);
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(0, seen.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
        }

        Assert.Equal(before, resolver.GetBytes("a.vhdx"));
    }

    [Fact]
    public async Task A_session_that_writes_changes_both_identifiers_and_leaves_a_clean_header_pair()
    {
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", new VhdxFile { Size = 8 * MiB });
        var before = await VhdxFiles.ReadMetadataAsync(resolver, "a.vhdx");
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            using var buffer = new NativeBuffer(4096);
            buffer.Span.Fill(1);
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(0, buffer.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            var open = await VhdxFiles.ReadMetadataAsync(resolver, "a.vhdx");
            Assert.True(open.Header.HasLogToReplay);
            Assert.NotNull(open.Replay);
        }

        var after = await VhdxFiles.ReadMetadataAsync(resolver, "a.vhdx");
        Assert.NotEqual(before.Header.FileWriteGuid, after.Header.FileWriteGuid);
        Assert.NotEqual(before.Header.DataWriteGuid, after.Header.DataWriteGuid);
        Assert.False(after.Header.HasLogToReplay);
        Assert.True(after.Headers.First.IsValid && after.Headers.Second.IsValid);
        Assert.Equal(after.Headers.First.DataWriteGuid, after.Headers.Second.DataWriteGuid);
        Assert.Equal(0, resolver.GetBytes("a.vhdx").Length % MiB);
    }

    [Fact]
    public async Task Trimmed_blocks_are_used_again_and_the_file_does_not_grow()
    {
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", new VhdxFile { Size = 64 * MiB });
        await using var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx");
        using var full = new NativeBuffer(MiB);
        full.Span.Fill(0xEE);
        using var seen = new NativeBuffer(MiB);
        long length = 0;
        for (var round = 0; round < 60; round++)
        {
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(round % 40 * MiB, full.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(round % 40 * MiB, MiB));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync((50 * MiB) + 512, full.Slice(0, 512)));
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(50 * MiB, seen.Buffers));
            Assert.False(seen.Span[..512].ContainsAnyExcept((byte)0) || seen.Span[1024..].ContainsAnyExcept((byte)0));
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(50 * MiB, MiB));
            length = round == 20 ? resolver.GetBytes("a.vhdx").Length : length;
        }

        Assert.Equal(length, resolver.GetBytes("a.vhdx").Length);
    }

    [Theory]
    [InlineData(0x7FFF_FFFF_FFF0_0006UL)] // behind the file's end
    [InlineData(0x0000_0000_0010_0006UL)] // over the log
    [InlineData(0x0000_0000_0040_0004UL)] // a reserved state
    [InlineData(0x0000_0000_0040_0006UL)] // the place that the first block has
    public async Task An_image_with_an_impossible_entry_is_not_opened_for_writing_and_stays_as_it_is(ulong entry)
    {
        const int BatOffset = 3 * MiB;
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", new VhdxFile { Size = 8 * MiB });
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            using var buffer = new NativeBuffer(512);
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(0, buffer.Buffers));
        }

        var image = resolver.GetBytes("a.vhdx");
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(BatOffset + (5 * 8)), entry);
        resolver.Add("b.vhdx", image);

        var refusal = await Assert.ThrowsAsync<CorruptImageException>(async () => await VhdxFiles.OpenAsync(resolver, "b.vhdx"));
        Assert.InRange(refusal.FileOffset!.Value, BatOffset, BatOffset + (8 * 8));
        Assert.Equal(image, resolver.GetBytes("b.vhdx"));
    }

    [Fact]
    public async Task A_place_that_another_block_may_take_again_is_not_given_away()
    {
        const int BatOffset = 3 * MiB;
        var resolver = new MemoryStorageResolver();
        await VhdxFiles.CreateAsync(resolver, "a.vhdx", new VhdxFile { Size = 16 * MiB });
        using var buffer = new NativeBuffer(MiB);
        buffer.Span.Fill(3);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "a.vhdx"))
        {
            for (var block = 0; block < 3; block++)
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteAsync(block * MiB, buffer.Buffers));
            }
        }

        var image = resolver.GetBytes("a.vhdx");
        image[BatOffset + 8] = (byte)((image[BatOffset + 8] & ~7) | (int)PayloadBlockState.Unmapped); // as Hyper-V leaves a block after a trim
        resolver.Add("b.vhdx", image);
        await using (var device = await VhdxFiles.OpenAsync(resolver, "b.vhdx"))
        {
            for (var block = 3; block < 14; block++)
            {
                Assert.Equal(BlockStatus.Ok, await device.WriteAsync(block * MiB, buffer.Buffers));
            }
        }

        var after = resolver.GetBytes("b.vhdx");
        var offsets = Enumerable.Range(0, 16).Select(i => System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(after.AsSpan(BatOffset + (i * 8))) >> 20).Where(offset => offset != 0).ToArray();
        Assert.Equal(14, offsets.Length);
        Assert.Equal(offsets.Length, offsets.Distinct().Count());
    }

    private static async Task RunAsync(ImageKind kind, int sectorSize, int seed)
    {
        var random = new Random(seed);
        var size = (random.Next(3, 7) * MiB) + (random.Next(3) * sectorSize);
        var resolver = new MemoryStorageResolver();
        var names = new List<string> { "leaf.vhdx" };
        var model = new byte[size];
        var steps = new DeviceSteps(model, random, largest: 3 * MiB);
        var file = new VhdxFile { Kind = kind, Size = size, SectorSize = sectorSize };
        if (kind == ImageKind.Differencing)
        {
            names.Add("parent.vhdx");
            await VhdxFiles.CreateAsync(resolver, "parent.vhdx", file with { Kind = ImageKind.Dynamic });
            await using var parent = await VhdxFiles.OpenAsync(resolver, "parent.vhdx");
            for (var i = 0; i < 12; i++)
            {
                await steps.WriteAsync(parent);
            }
        }

        await VhdxFiles.CreateAsync(resolver, "leaf.vhdx", file with { Parent = kind == ImageKind.Differencing ? "parent.vhdx" : null });
        for (var session = 0; session < 2; session++)
        {
            await using var device = await VhdxFiles.OpenAsync(resolver, names);
            for (var step = 0; step < 40; step++)
            {
                var when = $"{kind}, seed {seed}, session {session}, step {step}";
                await steps.StepAsync(device, when);
                if (random.Next(20) == 0)
                {
                    Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
                    await CheckFilesAsync(resolver, names, model, $"{when}, open");
                }
            }

            Assert.Equal(BlockStatus.Ok, await device.CloseAsync());
            await CheckFilesAsync(resolver, names, model, $"{kind}, seed {seed}, session {session}, closed");
        }
    }

    private static async Task CheckFilesAsync(MemoryStorageResolver resolver, List<string> names, byte[] model, string when)
    {
        var seen = await VhdxFiles.ReadPlainlyAsync(resolver, names);
        Assert.True(seen.AsSpan().SequenceEqual(model), $"{when}: byte {seen.AsSpan().CommonPrefixLength(model)} differs");
    }
}
