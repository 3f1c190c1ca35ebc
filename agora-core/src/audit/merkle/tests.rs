use proptest::prelude::*;

use super::*;
use crate::id::Hash;

/// The inputs of certificate-transparency's own tests (`merkletree/merkle_tree_test.cc`).
const INPUTS: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// Their roots, of 0 to 8 leaves.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const A: &str = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7";
const B: &str = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e";
const C: &str = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4";
const D: &str = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b";
const E: &str = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0";
const F: &str = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";

fn hash(text: &str) -> Hash {
    text.parse().unwrap()
}

fn hashes(texts: &[&str]) -> Vec<Hash> {
    texts.iter().map(|text| hash(text)).collect()
}

fn known() -> Vec<Hash> {
    INPUTS.iter().map(|input| leaf_hash(input)).collect()
}

fn numbered(n: u64) -> Vec<Hash> {
    (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

/// MTH of RFC 6962 §2.1, word for word.
fn definition(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node_hash(&definition(&leaves[..k]), &definition(&leaves[k..]))
        }
    }
}

#[test]
fn roots_are_those_of_certificate_transparency() {
    let leaves = known();
    let mut frontier = Frontier::new();
    for (size, want) in ROOTS.iter().enumerate() {
        assert_eq!(root(&leaves[..size]), hash(want), "{size}");
        assert_eq!((frontier.size(), frontier.root()), (size as u64, hash(want)));
        assert_eq!(frontier.edge().len(), size.count_ones() as usize);
        if size < 8 {
            frontier.push(leaves[size]);
        }
    }
}

#[test]
fn proofs_are_those_of_certificate_transparency() {
    let leaves = known();
    for (index, size, want) in [
        (0, 1, vec![]),
        (0, 8, vec![A, B, C]),
        (5, 8, vec![D, E, ROOTS[4]]),
        (2, 3, vec![ROOTS[2]]),
        (1, 5, vec![ROOTS[1], B, D]),
    ] {
        let proof = inclusion_proof(&leaves[..size], index).unwrap();
        assert_eq!(proof, hashes(&want), "inclusion of {index} in {size}");
    }
    for (old, size, want) in
        [(1, 1, vec![]), (1, 8, vec![A, B, C]), (6, 8, vec![F, E, ROOTS[4]]), (2, 5, vec![B, D]), (0, 5, vec![])]
    {
        let proof = consistency_proof(&leaves[..size], old).unwrap();
        assert_eq!(proof, hashes(&want), "consistency of {old} with {size}");
    }
}

#[test]
fn every_proof_of_small_trees_verifies_and_no_other() {
    let leaves = numbered(20);
    for size in 0..=20_usize {
        let of = &leaves[..size];
        let whole = root(of);
        assert_eq!(whole, definition(of));
        for index in 0..size as u64 {
            let proof = inclusion_proof(of, index).unwrap();
            for claimed in 0..=size as u64 {
                let result = verify_inclusion(claimed, size as u64, &leaves[index as usize], &proof, &whole);
                assert_eq!(result.is_ok(), claimed == index, "{index} claimed as {claimed} in {size}");
            }
        }
        for old in 0..=size {
            let proof = consistency_proof(of, old as u64).unwrap();
            for claimed in 0..=size {
                let result = verify_consistency(claimed as u64, size as u64, &root(&leaves[..old]), &whole, &proof);
                assert_eq!(result.is_ok(), claimed == old, "{old} claimed as {claimed} of {size}");
            }
        }
    }
}

#[test]
fn indexes_and_sizes_beyond_are_refused_without_work() {
    let leaf = leaf_hash(b"");
    assert_eq!(verify_inclusion(0, 1, &leaf, &[], &leaf), Ok(()));
    assert_eq!(verify_inclusion(1, 1, &leaf, &[], &leaf), Err(MerkleError::Beyond { given: 1, size: 1 }));
    assert_eq!(verify_inclusion(0, 0, &leaf, &[], &leaf), Err(MerkleError::Beyond { given: 0, size: 0 }));
    assert_eq!(verify_inclusion(0, 1, &leaf, &[leaf], &leaf), Err(MerkleError::Length { given: 1 }));
    assert_eq!(verify_consistency(2, 1, &leaf, &leaf, &[]), Err(MerkleError::Beyond { given: 2, size: 1 }));
    assert_eq!(verify_consistency(0, 1, &empty_root(), &leaf, &[]), Ok(()));
    assert_eq!(verify_consistency(0, 1, &leaf, &leaf, &[]), Err(MerkleError::Root));
    assert_eq!(verify_consistency(1, 1, &leaf, &leaf, &[leaf]), Err(MerkleError::Length { given: 1 }));
    let proof = vec![leaf; PROOF_HASHES_MAX];
    assert_eq!(verify_inclusion(0, u64::MAX, &leaf, &proof, &leaf), Err(MerkleError::Root));
    assert_eq!(verify_consistency(1, u64::MAX, &leaf, &leaf, &proof), Err(MerkleError::Root));
    // The last leaf of such a tree has no sibling on its lowest level.
    assert_eq!(verify_inclusion(u64::MAX - 1, u64::MAX, &leaf, &proof, &leaf), Err(MerkleError::Length { given: 64 }));
    assert_eq!(inclusion_ranges(0, u64::MAX).unwrap().len(), 64);
}

#[test]
fn an_interior_node_is_no_leaf() {
    let leaves = numbered(4);
    let proof = inclusion_proof(&leaves, 0).unwrap();
    let node = node_hash(&leaves[0], &leaves[1]);
    assert!(verify_inclusion(0, 4, &leaves[0], &proof, &root(&leaves)).is_ok());
    assert_eq!(verify_inclusion(0, 4, &node, &proof[1..], &root(&leaves)), Err(MerkleError::Length { given: 1 }));
}

#[test]
fn an_edge_fits_its_size() {
    let frontier: Frontier = numbered(5).into_iter().collect();
    let json = serde_json::to_string(&frontier).unwrap();
    assert_eq!(serde_json::from_str::<Frontier>(&json).unwrap(), frontier);
    assert!(serde_json::from_str::<Frontier>(&json.replace("\"size\":5", "\"size\":7")).is_err());
    assert_eq!(Frontier::from_edge(3, vec![]), Err(MerkleError::Edge { given: 0, size: 3 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn large_trees_keep_their_proofs(size in 1_u64..300, at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), bit in 0_usize..256) {
        let leaves = numbered(size);
        let whole = root(&leaves);
        prop_assert_eq!(whole, definition(&leaves));
        let at = at.index(leaves.len());
        let inclusion = inclusion_proof(&leaves, at as u64).unwrap();
        prop_assert_eq!(verify_inclusion(at as u64, size, &leaves[at], &inclusion, &whole), Ok(()));
        let old_root = root(&leaves[..at]);
        let consistency = consistency_proof(&leaves, at as u64).unwrap();
        prop_assert_eq!(verify_consistency(at as u64, size, &old_root, &whole, &consistency), Ok(()));
        let flip = |proof: &[Hash]| {
            let mut proof = proof.to_vec();
            let which = cut.index(proof.len());
            proof[which].0[bit / 8] ^= 1 << (bit % 8);
            proof
        };
        let drop = |proof: &[Hash]| {
            let mut proof = proof.to_vec();
            proof.remove(cut.index(proof.len()));
            proof
        };
        for change in [&flip as &dyn Fn(&[Hash]) -> Vec<Hash>, &drop] {
            if !inclusion.is_empty() {
                prop_assert!(verify_inclusion(at as u64, size, &leaves[at], &change(&inclusion), &whole).is_err());
            }
            if !consistency.is_empty() {
                prop_assert!(verify_consistency(at as u64, size, &old_root, &whole, &change(&consistency)).is_err());
            }
        }
        for mut longer in [inclusion.clone(), consistency.clone()] {
            longer.push(whole);
            prop_assert!(verify_inclusion(at as u64, size, &leaves[at], &longer, &whole).is_err());
            prop_assert!(verify_consistency(at as u64, size, &old_root, &whole, &longer).is_err());
        }
    }

    #[test]
    fn an_edge_grows_like_the_tree(first in 0_u64..100, more in 0_u64..40) {
        let leaves = numbered(first + more);
        let start: Frontier = leaves[..first as usize].iter().copied().collect();
        let mut grown = Frontier::from_edge(first, start.edge().to_vec()).unwrap();
        for leaf in &leaves[first as usize..] {
            grown.push(*leaf);
        }
        prop_assert_eq!(grown.root(), definition(&leaves));
    }
}
