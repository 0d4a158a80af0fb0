using VhdCore.Chains;
using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Layers;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Tests.Model;
using VhdCore.Vhd;

namespace VhdCore.Tests.Vhd;

/// <summary>Chains that the independent builder made, written by the library, read back by the library and by the independent reader.</summary>
public class VhdWriterTests
{
    private const int Sector = 512;
    private const int Size = 700 * Sector; // no multiple of a block

    [Theory]
    [InlineData(PlainDialect0.Windows)]
    [InlineData(PlainDialect0.Qemu)]
    [InlineData(PlainDialect0.Xen)]
    public async Task Random_writes_zeros_and_trims_read_back_the_same_by_every_reader(PlainDialect0 dialect)
    {
        for (var seed = 1; seed <= 12; seed++)
        {
            await RunAsync((PlainDialect)dialect, seed);
        }
    }

    [Fact]
    public async Task A_released_block_is_used_again_and_shows_nothing_of_what_it_held()
    {
        var builder = new PlainVhdBuilder { FileName = "a.vhd", Size = 64 * 4096, BlockSize = 4096, Dialect = PlainDialect.Windows };
        var resolver = new MemoryStorageResolver();
        resolver.Add("a.vhd", builder.Build());
        await using var device = await OpenAsync(resolver, ["a.vhd"]);
        using var full = new NativeBuffer(4096);
        full.Span.Fill(0xEE);
        using var sector = new NativeBuffer(Sector);
        sector.Span.Fill(0x11);
        using var seen = new NativeBuffer(4096);

        long lengthAfterFirst = 0;
        for (var round = 0; round < 40; round++)
        {
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(round % 8 * 4096, full.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(round % 8 * 4096, 4096));
            Assert.Equal(BlockStatus.Ok, await device.FlushAsync());
            Assert.Equal(BlockStatus.Ok, await device.WriteAsync(20 * 4096, sector.Buffers));
            Assert.Equal(BlockStatus.Ok, await device.ReadAsync(20 * 4096, seen.Buffers));
            Assert.True(seen.Span[..Sector].SequenceEqual(sector.Span));
            Assert.False(seen.Span[Sector..].ContainsAnyExcept((byte)0));
            Assert.Equal(BlockStatus.Ok, await device.TrimAsync(20 * 4096, 4096));
            lengthAfterFirst = round == 10 ? resolver.GetBytes("a.vhd").Length : lengthAfterFirst;
        }

        Assert.Equal(lengthAfterFirst, resolver.GetBytes("a.vhd").Length);
    }

    private static async Task RunAsync(PlainDialect dialect, int seed)
    {
        var random = new Random(seed);
        var names = new List<string>();
        var resolver = new MemoryStorageResolver();
        PlainVhdBuilder? parent = null;
        for (var depth = dialect == PlainDialect.Qemu ? 1 : random.Next(1, 4); depth > 0; depth--) // QEMU makes no children
        {
            parent = new PlainVhdBuilder
            {
                FileName = $"d{depth}.vhd",
                Size = Size,
                BlockSize = 4096 << random.Next(3),
                Dialect = dialect,
                Id = (byte)depth,
                Parent = parent,
            };
            for (var i = 0; i < 6; i++)
            {
                parent.PutText(random.Next(690), random.Next(1, 10));
            }

            resolver.Add(parent.FileName, parent.Build());
            names.Insert(0, parent.FileName);
        }

        var model = parent!.Content();
        var steps = new DeviceSteps(model, random, largest: 40_000);
        for (var session = 0; session < 3; session++)
        {
            await using (var device = await OpenAsync(resolver, names))
            {
                Assert.Equal(Size, device.Length);
                for (var step = 0; step < 60; step++)
                {
                    await steps.StepAsync(device, $"{dialect}, seed {seed}, session {session}, step {step}");
                }

                await steps.CompareAsync(device, $"{dialect}, seed {seed}");
                Assert.Equal(BlockStatus.Ok, await device.CloseAsync());
            }

            using var chain = PlainChain.OpenBytes(names[0], names.ToDictionary(name => name, resolver.GetBytes));
            for (var sector = 0; sector < Size / Sector; sector++)
            {
                Assert.True(chain.ReadSector(sector).AsSpan().SequenceEqual(model.AsSpan(sector * Sector, Sector)), $"{dialect}, seed {seed}, session {session}: sector {sector}");
            }
        }
    }

    private static async Task<ChainDevice> OpenAsync(MemoryStorageResolver resolver, List<string> names)
    {
        var gate = new InFlightGate();
        var layers = new List<IImageLayer>();
        foreach (var name in names)
        {
            var isLeaf = layers.Count == 0;
            var options = new ImageOpenOptions { Writable = isLeaf };
            var storage = await resolver.OpenAsync(name, isLeaf ? StorageOpenOptions.ForWriting : StorageOpenOptions.ForReading);
            var metadata = await VhdMetadataReader.ReadAsync(storage, options, default);
            layers.Add(isLeaf ? await VhdWriter.OpenAsync(storage, metadata, options, gate) : await VhdLayer.OpenAsync(storage, metadata, options));
        }

        return new ChainDevice(new ChainState(layers, layers[0].Length), gate, new BlockDeviceInfo { Name = names[0] }, new ManualClock());
    }

    /// <summary><see cref="PlainDialect"/> for xunit, which wants its arguments public.</summary>
    public enum PlainDialect0
    {
        Windows = PlainDialect.Windows,
        Qemu = PlainDialect.Qemu,
        Xen = PlainDialect.Xen,
    }
}
