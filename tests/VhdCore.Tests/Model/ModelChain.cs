using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Testing;
using VhdCore.Testing.Faults;
using VhdCore.Testing.Independent;

namespace VhdCore.Tests.Model;

/// <summary>A chain of images of mixed makers, block sizes and lengths on a medium of moods, and what it holds.</summary>
internal sealed class ModelChain
{
    private const int MaxDepth = 8;
    private static readonly int[] BlockSizes = [4096, 8192, 16384, 65536];

    private readonly List<string> _description = [];

    private ModelChain(IStorageResolver resolver) => Resolver = resolver;

    public IStorageResolver Resolver { get; }

    /// <summary>The leaf's name.</summary>
    public string Leaf { get; private set; } = "";

    /// <summary>What the disk holds.</summary>
    public byte[] Content { get; private set; } = [];

    public static async Task<ModelChain> CreateAsync(Random random)
    {
        var memory = new MemoryStorageResolver { CanPunch = random.Next(2) == 0, ReadsAtOnce = random.Next(2) == 0 };
        var plan = new FaultPlan(random.Next())
        {
            DelayProbability = random.Next(3) * 0.15,
            ShortReadProbability = random.Next(2) * 0.3,
            PieceSize = random.Next(2) * 512,
        };
        var chain = new ModelChain(new FaultResolver(memory, plan));
        var depth = random.Next(1, MaxDepth + 1);
        var foreign = random.Next(0, depth + 1);
        chain.AddForeign(memory, random, foreign);
        for (var i = foreign; i < depth; i++)
        {
            await chain.AddOwnAsync(random, i);
        }

        return chain;
    }

    public override string ToString() => string.Join(" <- ", _description);

    /// <summary>The lowest images, with sparse bitmaps and gaps, made without the library.</summary>
    private void AddForeign(MemoryStorageResolver memory, Random random, int count)
    {
        PlainVhdBuilder? parent = null;
        for (var i = 0; i < count; i++)
        {
            var builder = new PlainVhdBuilder
            {
                FileName = $"{i}.vhd",
                Size = Size(random),
                BlockSize = BlockSizes[random.Next(BlockSizes.Length)],
                Dialect = parent is null ? (PlainDialect)random.Next(3) : random.Next(2) == 0 ? PlainDialect.Windows : PlainDialect.Xen,
                IsFixed = parent is null && random.Next(4) == 0,
                Id = (byte)(i + 1),
                Parent = parent,
            };
            for (var sector = 0; sector < builder.Size / 512; sector++)
            {
                if (random.Next(8) < sector / 8 % 4 * 2)
                {
                    var content = new byte[512];
                    random.NextBytes(content);
                    builder.Put(sector, content);
                }
            }

            Leaf = "/" + builder.FileName;
            memory.Add(Leaf, builder.Build());
            Content = builder.Content();
            _description.Add($"{builder.Dialect} {(builder.IsFixed ? "fixed" : builder.BlockSize)} {builder.Size}");
            parent = builder;
        }
    }

    private async Task AddOwnAsync(Random random, int index)
    {
        var isRoot = index == 0;
        var isRaw = isRoot && random.Next(4) == 0;
        var size = Size(random);
        var name = $"/{index}.{(isRaw ? "raw" : "vhd")}";
        var options = new ImageCreateOptions
        {
            Format = isRaw ? ImageFormat.Raw : ImageFormat.Vhd,
            Kind = isRaw || (isRoot && random.Next(4) == 0) ? ImageKind.Fixed : isRoot ? ImageKind.Dynamic : ImageKind.Differencing,
            Size = size,
            Parent = isRoot ? null : Leaf,
        };
        options = options.Kind == ImageKind.Fixed ? options : options with { BlockSize = BlockSizes[random.Next(BlockSizes.Length)] };
        await using var disk = await VirtualDisk.CreateAsync(name, options, Resolver);
        _description.Add($"own {options.Kind} {options.BlockSize} {size}");

        // Behind the parent's end are zeros; what the parent has behind the child's end is out of sight.
        var below = Content;
        Content = new byte[size];
        below.AsSpan(0, Math.Min(below.Length, size)).CopyTo(Content);
        Leaf = name;
        for (var i = random.Next(12); i > 0; i--)
        {
            var offset = random.Next(size);
            var bytes = new byte[random.Next(1, Math.Min(size - offset, 20_000) + 1)];
            random.NextBytes(bytes);
            await disk.WriteAsync(offset, bytes);
            bytes.CopyTo(Content, offset);
        }
    }

    private static int Size(Random random) => 512 * random.Next(100, 400);
}
