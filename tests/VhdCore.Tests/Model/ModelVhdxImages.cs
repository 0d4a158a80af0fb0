using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Independent;
using VhdCore.Vhdx;

namespace VhdCore.Tests.Model;

/// <summary>The images of a chain of VHDX: all kinds and block sizes, one sector size, made with and without the library; some with logs to replay.</summary>
internal sealed class ModelVhdxImages(IStorageResolver resolver, MemoryStorageResolver memory, Random random)
{
    private const int MiB = 1 << 20;
    private const string LogId = "0badf00d-0001-0002-0003-040506070809";

    private static readonly int[] BlockSizes = [1, 1, 1, 2, 2, 4, 8, 32, 64, 256]; // MiB

    private readonly int _sectorSize = random.Next(3) == 0 ? 4096 : 512;
    private readonly List<byte[]> _foreign = []; // leaf first

    /// <summary>Content of the disk so far.</summary>
    public byte[] Content { get; private set; } = [];

    /// <summary>The leaf's name.</summary>
    public string Leaf { get; private set; } = "";

    /// <summary>What was made, from the base on.</summary>
    public List<string> Description { get; } = [];

    /// <summary>An image made byte by byte, with blocks in every state, over those that there are.</summary>
    public void AddForeign(int index)
    {
        var isChild = index > 0;
        var builder = new PlainVhdxBuilder
        {
            DiskSize = Size(),
            BlockSize = (1L << random.Next(3)) * MiB,
            SectorSize = _sectorSize,
            IsFixed = !isChild && random.Next(4) == 0,
            DataWriteId = PlainVhdxBytes.Identifier(Guid.NewGuid().ToString("D")),
            LogId = random.Next(2) == 0 ? PlainVhdxBytes.Identifier(LogId) : PlainVhdxBuilder.NoId,
            Locator = isChild ? [("parent_linkage", "{" + new Guid(DataWriteId()).ToString("D") + "}"), ("relative_path", @".\" + Leaf[1..])] : [],
        };
        int[] states = isChild ? [0, 0, 1, 2, 3, 6, 7, 7, 7] : [0, 1, 2, 3, 6, 6, 6];
        for (var block = 0; block < builder.BlockCount; block++)
        {
            var state = builder.IsFixed ? 6 : states[random.Next(states.Length)];
            var threshold = random.Next(1, 8);
            var salt = random.Next();
            builder.Blocks[block] = new PlainVhdxBlock(state, state is 6 or 7 ? Bytes((int)builder.BlockSize) : null)
            {
                HasSector = sector => ((sector / 3) + salt) % 8 < threshold,
            };
        }

        var image = builder.Build();
        if (!builder.LogId.AsSpan().SequenceEqual(PlainVhdxBuilder.NoId))
        {
            // The table is old in its place, and the log says what it should be.
            var log = new PlainVhdxLogWriter(image, PlainVhdxBuilder.LogOffset, builder.LogSize, builder.LogId) { Sequence = (ulong)random.Next(1, 1000) };
            log.Add(log.Take(builder.BatOffset, 0));
            log.MarkDirty();
        }

        Leaf = $"/{index}.vhdx";
        memory.Add(Leaf, image);
        _foreign.Insert(0, image);
        using var chain = PlainVhdxChain.Open([.. _foreign.Select(bytes => (Stream)new MemoryStream(bytes, writable: false))]);
        Content = chain.ReadAll();
        Description.Add($"plain {(builder.IsFixed ? "fixed" : builder.BlockSize / MiB)} {builder.DiskSize}{(builder.LogId[0] == 0 ? "" : " with a log")}");
    }

    /// <summary>An image that the library makes and writes to, over those that there are.</summary>
    public async Task AddOwnAsync(int index, bool canPunch)
    {
        var kind = index > 0 ? ImageKind.Differencing : random.Next(4) == 0 ? ImageKind.Fixed : ImageKind.Dynamic;
        var size = Size();
        var largest = canPunch && kind != ImageKind.Fixed ? BlockSizes.Length : 5; // a medium without holes takes what zeros take
        var parameters = new VhdxCreateParameters
        {
            Kind = kind,
            Size = size,
            BlockSize = (uint)BlockSizes[random.Next(largest)] * MiB,
            LogicalSectorSize = _sectorSize,
            LogLength = (uint)random.Next(1, 3) * MiB,
            VirtualDiskId = Guid.NewGuid(),
            DataWriteGuid = Guid.NewGuid(),
            FileWriteGuid = Guid.NewGuid(),
            ParentLocator = index > 0 ? [new("parent_linkage", $"{{{await DataWriteGuidAsync(Leaf):D}}}"), new("relative_path", @".\" + Leaf[1..])] : [],
        };
        Leaf = $"/{index}.vhdx";
        await using (var storage = await resolver.OpenAsync(Leaf, StorageOpenOptions.ForCreating))
        {
            await VhdxCreator.CreateAsync(storage, parameters, default);
        }

        var below = Content;
        Content = new byte[size];
        below.AsSpan(0, Math.Min(below.Length, size)).CopyTo(Content);
        Description.Add($"own {kind} {parameters.BlockSize / MiB} {size}");
        await using var disk = await VirtualDisk.OpenAsync(Leaf, new ImageOpenOptions { Writable = true }, resolver);
        for (var i = random.Next(12); i > 0; i--)
        {
            var offset = random.Next(size);
            var bytes = Bytes(random.Next(1, Math.Min(size - offset, random.Next(4) == 0 ? 2 * MiB : 20_000) + 1));
            await disk.WriteAsync(offset, bytes);
            bytes.CopyTo(Content, offset);
        }
    }

    public override string ToString() => $"{string.Join(" <- ", Description)}, sectors of {_sectorSize}";

    private int Size() => random.Next(4) switch
    {
        0 => _sectorSize * random.Next(20, 200), // less than a block
        _ => (random.Next(1, 5) * MiB) + (random.Next(4) * _sectorSize),
    };

    private byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        random.NextBytes(bytes);
        return bytes;
    }

    private byte[] DataWriteId() => PlainVhdx.Open(new MemoryStream(_foreign[0], writable: false)).DataWriteId;

    private async Task<Guid> DataWriteGuidAsync(string name)
    {
        await using var storage = await resolver.OpenAsync(name, StorageOpenOptions.ForReading);
        return (await VhdxMetadataReader.ReadAsync(storage, new ImageOpenOptions(), default)).Header.DataWriteGuid;
    }
}
